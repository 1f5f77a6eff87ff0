"""Importing pauses the garbage collector, and leaves it as it was."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("before", "after"), [("enable", "True"), ("disable", "False")])
def test_the_collector_is_as_before_once_a_public_name_is_there(before: str, after: str) -> None:
    program = f"import gc; gc.{before}(); import edgeprep; edgeprep.open; print(gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{after}\n", "")


def test_nothing_is_collected_while_a_public_name_is_imported() -> None:
    program = (
        "import gc, numpy; starts = []; gc.collect(); "
        "gc.callbacks.append(lambda phase, facts: starts.append(phase)); "
        "import edgeprep; before = len(starts); edgeprep.open; print(len(starts) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
