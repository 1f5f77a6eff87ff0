"""What a session adds to the memory of a process, above what its engine takes to be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MOST_MB = 60
RESIDENT = """
with open("/proc/self/status") as file:
    print(next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith("VmRSS")))
"""
SESSION = """
import sys
import numpy as np
import edgeprep
session = edgeprep.open(sys.argv[1])
for shape in ((480, 640, 3), (64, 64, 3)) * 5:
    session(np.zeros(shape, np.uint8))
"""


def resident_mb(script, *arguments):
    """The memory that a process of its own has at the end of a script."""
    command = [sys.executable, "-c", script + RESIDENT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.fixture
def fresh_libraries():
    """Libraries lie on the disk, as after a start of the machine.

    What has just been installed is in memory in large pieces. These are mapped whole where a page
    is touched, and would be counted for a process that never looks at them.
    """
    for path in Path(sys.prefix).rglob("*.so*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.usefixtures("fresh_libraries")
def test_a_session_that_answers_takes_little_above_its_engine(
    bundle, engine, session, record_testsuite_property
):
    # `session` has measured, so that this one takes the choice that is remembered, as every start
    # of an application does but the first.
    engine_mb = resident_mb(f"import {engine.module}")
    session_mb = resident_mb(SESSION, bundle) - engine_mb
    record_testsuite_property("session", f"{session_mb:.0f} MB above the engine's {engine_mb:.0f}")
    # Less would say that what is compared are not an engine and a session with it.
    assert 5 < session_mb <= MOST_MB
