"""Importing and opening pause the garbage collector, and leave it as it was."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

import edgeprep
from edgeprep.errors import StorageError


@pytest.mark.parametrize(("before", "after"), [("enable", "True"), ("disable", "False")])
def test_the_collector_is_as_before_once_a_public_name_is_there(before: str, after: str) -> None:
    program = f"import gc; gc.{before}(); import edgeprep; edgeprep.open; print(gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{after}\n", "")


def test_the_collector_looks_at_most_once_while_a_public_name_is_imported() -> None:
    program = (
        "import gc, numpy, edgeprep; starts = []; "
        "gc.callbacks.append(lambda phase, facts: starts.append(phase)); "
        "gc.collect(); starts.clear(); edgeprep.open; print(starts.count('start'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    # Once, when it is switched on again; it would be more than ten times.
    assert (int(done.stdout), done.stderr) in [(0, ""), (1, "")]


def test_the_collector_runs_again_after_an_open_that_failed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="must be a file that can be read"):
        edgeprep.open(tmp_path / "none.edgeprep")
    assert gc.isenabled()
