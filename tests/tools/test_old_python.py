"""A Python that is too old is told so, instead of a traceback."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
OLD = """\
import runpy, sys
sys.version_info, sys.version = (3, 10, 0), "3.10.0 (main)"
sys.path.insert(0, sys.argv[1])
runpy.run_path(sys.argv[2], run_name="__main__")
"""


@pytest.mark.parametrize("name", ["test", "demo", "environment.py"])
def test_an_old_python_is_told_what_is_needed(name):
    command = [sys.executable, "-c", OLD, str(TOOLS), str(TOOLS / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "edgeprep needs Python 3.11 or later, this is 3.10.0\n"


@pytest.mark.parametrize("name", ["test", "demo", "environment.py"])
def test_an_old_python_can_read_the_file_as_far_as_that(name):
    ast.parse((TOOLS / name).read_text(encoding="utf-8"), feature_version=(3, 8))
