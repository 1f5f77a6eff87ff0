"""What a worker takes from where it is started, and what it does to that."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import faulty_backends as faulty
import numpy as np
from channel_means import RAMP, RAMP_MEANS


def test_what_a_library_does_to_its_process_does_not_reach_this_one(backends, capfd):
    before = (Path.cwd(), dict(os.environ), np.geterr(), signal.getsignal(signal.SIGTERM))
    backend = backends()
    device = backend.devices()[0]
    storm = backend.load(faulty.model_of(load="print:3", run="print:3"), device, {})
    np.testing.assert_array_equal(storm.run((RAMP,))[0], RAMP_MEANS)
    disturbing = backend.load(faulty.model_of(load="disturb"), device, {})
    np.testing.assert_array_equal(disturbing.run((RAMP,))[0], RAMP_MEANS)
    backend.close()
    assert before == (Path.cwd(), dict(os.environ), np.geterr(), signal.getsignal(signal.SIGTERM))
    assert capfd.readouterr() == ("", "")


def test_a_worker_takes_no_code_from_the_directory_that_it_is_started_in(
    backends, tmp_path, monkeypatch
):
    (tmp_path / "json.py").write_text("raise SystemExit('json.py of strangers')")
    monkeypatch.chdir(tmp_path)
    assert [device.name for device in backends().devices()] == ["cpu", "second"]


def test_a_worker_takes_no_code_from_where_its_parent_was_told_to_take_none(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("open(__file__ + '-was-run', 'w').close()")
    program = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "import faulty_backends as f\n"
        "from edgeprep.workers import IsolatedBackend\n"
        "backend = IsolatedBackend(f.Faulty)\n"
        "print(backend.devices()[0].name)\n"
        "backend.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, json.dumps(sys.path)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "cpu\n", "")
    assert not (tmp_path / "sitecustomize.py-was-run").exists()
