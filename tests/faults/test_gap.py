"""How long a call waits for its answer when what answers has crashed."""

import os
import signal
import time

import faulty_bundle as bundles
from channel_means import GREEN

import edgeprep

NOTE = b"of a model that nobody needs any more"
VARIANTS = {
    "fake-fp32": {"note": NOTE.decode()},
    "safe-fp32": {"slow": 0.003},
    "safe-slow": {"slow": 0.01},
}


def test_a_call_after_a_crash_is_answered_within_a_second_by_one_model_of_the_bundle(tmp_path):
    path = bundles.write_faulty(tmp_path / "three.edgeprep", VARIANTS)
    registry = bundles.registry_of(bundles.Alone, bundles.Safe)
    with edgeprep.open(path, registry=registry, seconds=0.0, isolate=True) as session:
        assert session.choice.backend == "alone"
        # Written into: whoever reads this one again finds that.
        with path.open("r+b") as file:
            file.seek(path.read_bytes().rindex(NOTE))
            file.write(b"X")
        os.kill(session._runner.worker_pid, signal.SIGKILL)
        start = time.perf_counter()
        assert session(GREEN).label == "green"
        assert time.perf_counter() - start < 1.0
        assert session.choice.variant == "safe-fp32"
