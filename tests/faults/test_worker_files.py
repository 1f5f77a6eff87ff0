"""Files that workers need here: that none stays open, and that there may be none left."""

import gc
import os
import re
import resource
import signal
import sys
from pathlib import Path

import faulty_backends as faulty
import pytest
from channel_means import RAMP

from edgeprep.errors import BackendCrashed, BackendError
from edgeprep.workers import IsolatedBackend


@pytest.mark.parametrize("what", ["the first call of a thread", "a load in a new worker"])
def test_a_call_for_which_the_system_has_no_files_is_our_error(backends, what):
    backend = backends()
    device = backend.devices()[0]
    runner = backend.load(faulty.model_of(), device, {})
    fatal = backend.load(faulty.model_of(run="signal:SIGKILL"), device, {})
    if what == "a load in a new worker":
        with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
            fatal.run((RAMP,))
    rule = "must have files, memory and a process to run a model"
    message = f"backend 'faulty': {rule}, got 'Too many open files'"
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
            runner.run((RAMP,))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def open_files():
    """How many this process has."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_nothing_is_left_open_when_workers_have_ended(how):
    def use():
        backend = IsolatedBackend(faulty.Faulty)
        runner = backend.load(faulty.model_of(), backend.devices()[0], {})
        if how == "closed":
            runner.run((RAMP,))
        else:
            os.kill(runner.worker_pid, signal.SIGKILL)
            with pytest.raises(BackendCrashed, match=r"got the worker's death by SIGKILL$"):
                runner.run((RAMP,))
        runner.close()
        backend.close()

    use()
    before = open_files()
    for _ in range(3):
        use()
    assert open_files() == before


def test_a_process_that_cannot_be_started_leaves_no_file_open(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = open_files()
    for _ in range(3):
        with pytest.raises(OSError, match="/nowhere/python"):
            IsolatedBackend(faulty.Faulty)
    assert open_files() == before
