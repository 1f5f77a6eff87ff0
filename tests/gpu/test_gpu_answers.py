"""A second accelerator that is really different: LiteRT's GPU on Vulkan in software."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.interfaces import Device
from edgeprep.registry import default_registry
from edgeprep.runtime.engines import describe_backends

BUNDLE = os.environ["EDGEPREP_TEST_BUNDLE"]
Picture = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    generator = np.random.default_rng(11)
    return [generator.integers(0, 256, (480, 640, 3), np.uint8) for _ in range(4)]


@pytest.fixture
def cpu_answers(pictures: list[Picture]) -> Iterator[list[tuple[str, float]]]:
    with edgeprep.open(BUNDLE, prefer="tflite-fp32", probe=False) as session:
        assert session.choice.device == "cpu"
        results = [session(picture) for picture in pictures]
        yield [(result.label, result.score) for result in results]


def test_doctor_lists_it_as_a_device() -> None:
    litert = next(
        entry for entry in describe_backends(default_registry()) if entry["name"] == "litert"
    )
    device = Device(name="gpu", kind="gpu", description="LiteRT's GPU accelerator")
    assert {"name": device.name, "kind": device.kind, "description": device.description} in litert[
        "devices"
    ]
    assert "gpu" not in {absent["name"] for absent in litert["absent"]}


def test_golden_accepts_it_and_measurement_ranks_it_last() -> None:
    with edgeprep.open(BUNDLE, prefer="litert", seconds=0.5) as session:
        assert session.choice.device == "cpu"
        measured = [outcome for outcome in session.outcomes if outcome.timing]
        gpu = [outcome for outcome in measured if outcome.candidate.device == "gpu"]
        assert {outcome.candidate.variant for outcome in gpu} == {"tflite-fp32", "tflite-int8"}
        for outcome in gpu:
            assert outcome.verdict == "slower"
            assert outcome.error is not None
            assert outcome.error < 1e-3
        times = {id(outcome): outcome.timing.median_ms for outcome in measured if outcome.timing}
        slowest = max(measured, key=lambda outcome: times[id(outcome)])
        assert slowest.candidate.device == "gpu"
        cpu = [times[id(each)] for each in measured if each.candidate.device == "cpu"]
        assert max(cpu) < min(times[id(each)] for each in gpu)


def test_a_preference_takes_it_and_it_answers_as_the_cpu_does(
    pictures: list[Picture], cpu_answers: list[tuple[str, float]]
) -> None:
    with edgeprep.open(BUNDLE, prefer="gpu", seconds=0.5) as session:
        assert (session.choice.backend, session.choice.device) == ("litert", "gpu")
        for picture, (label, score) in zip(pictures, cpu_answers, strict=True):
            result = session(picture)
            assert result.label == label
            # One of them may be in int8: five hundredths of the highest score that there can be.
            assert result.score == pytest.approx(score, abs=0.05)


def test_killing_its_worker_in_mid_run_falls_back_with_an_event_and_an_answer(
    pictures: list[Picture],
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with edgeprep.open(BUNDLE, prefer="gpu", seconds=0.3, isolate=True) as session:
        assert session.choice.device == "gpu"
        expected = [session(picture).label for picture in pictures]
        workers = set(psutil.Process().children(recursive=True)) - before
        assert workers
        answers: list[str] = []
        faults: list[Exception] = []
        is_running = Event()

        def ask() -> None:
            try:
                for turn in range(60):
                    answers.append(session(pictures[turn % 4]).label)
                    is_running.set()
            except Exception as fault:  # noqa: BLE001 -- that is what must not happen
                faults.append(fault)

        asking = Thread(target=ask)
        asking.start()
        assert is_running.wait(60)
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
        asking.join(60)
        assert faults == []
        assert answers == [expected[turn % 4] for turn in range(60)]
        kinds = {event.kind for event in session.events.kept}
        assert {"failure", "fallback"} <= kinds
        assert session.health().state in ("ok", "degraded")


def test_a_gpu_is_compiled_and_loaded_without_a_word_on_stdout(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with edgeprep.open(BUNDLE, prefer="gpu", probe=False, isolate=False) as session:
        assert session.choice.device == "gpu"
    assert capfd.readouterr().out == ""
