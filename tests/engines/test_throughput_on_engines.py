"""Several pictures a call and several calls at once, on the real engines."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import Result
from edgeprep.registry import create, default_registry
from edgeprep.runtime.golden import allowed_error, batch_error, golden_error
from edgeprep.runtime.widths import load_wide
from edgeprep.tasks.classify import Classify
from edgeprep.workers import IsolatedBackend

Pictures = list[tuple[NDArray[np.uint8], int]]
TASK = Classify(labels=tuple("0123456789"))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "litert"])
def test_batches_reproduce_golden_samples_in_every_place(
    result: Result, engine: str, precision: str
) -> None:
    bundle = open_bundle(result.bundle)
    cls = default_registry().get("backend", engine)
    variant = next(
        one
        for one in bundle.manifest.variants
        if one.format in cls.formats and one.precision == precision
    )
    backend = create(cls)
    device = backend.devices()[0]
    (first, *_) = backend.options(device, variant.precision)
    options = {**first, "batch": 4, "calls": 2}
    runner = load_wide(backend, bundle.model(variant), device, options)
    golden = bundle.golden(variant)
    assert runner.batch == 4
    assert batch_error(runner, golden, TASK) <= allowed_error(variant, options)
    assert golden_error(runner, golden, TASK) <= allowed_error(variant, options)
    wrong: list[int] = []

    def ask(index: int) -> None:
        (wanted,) = golden.expected(index)
        for _ in range(40):
            (found,) = runner.run(golden.feed(index))
            if np.abs(found - wanted).max() > 0.05 * np.abs(wanted).max():
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(index % golden.count,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runner.close()
    assert wrong == []


def test_a_session_for_throughput_answers_as_one_for_latency(
    result: Result, pictures: Pictures
) -> None:
    taken = [picture for picture, _ in pictures]
    with (
        edgeprep.open(result.bundle, prefer="openvino-int8", isolate=True, seconds=0.2) as quick,
        edgeprep.open(
            result.bundle, prefer="openvino-int8", isolate=True, goal="throughput", seconds=0.2
        ) as busy,
    ):
        assert "measured now for throughput" in busy.explain()
        sizes = {each.candidate.options.get("batch", 1) for each in busy.outcomes}
        assert sizes == {1, 4, 16}
        assert all(each.per_second for each in busy.outcomes if each.timing)
        labels = [each.label for each in busy.batch(taken)]
        assert labels == [quick(picture).label for picture in taken]
        assert [quick.health().state, busy.health().state] == ["ok", "ok"]


def test_what_is_measured_in_a_worker_is_of_so_many_threads_there(result: Result) -> None:
    bundle = open_bundle(result.bundle)
    variant = bundle.variant("onnx-fp32")
    backend = IsolatedBackend(default_registry().get("backend", "onnxruntime"))
    try:
        assert backend.widths == ("batch", "calls")
        device = backend.devices()[0]
        runner: Any = backend.load(bundle.model(variant), device, {"threads": 1, "calls": 2})
        feed = bundle.golden(variant).feed(0)
        shared, alone = runner.measure_busy(feed, 2), runner.measure_busy(feed, 1)
        # Of two threads, each has half of the time, whatever the machine makes of them.
        assert 0 < min(shared) < 2 * max(alone)
        assert len(shared) > len(runner.measure_burst(feed)) / 40
        runner.close()
    finally:
        backend.close()


def test_memory_is_that_of_a_process_with_the_engines_library(
    result: Result, tmp_path: Path
) -> None:
    with edgeprep.open(result.bundle, prefer="tflite-int8", goal="memory") as session:
        (chosen, *_) = session.outcomes
        assert chosen.candidate.options == {"threads": 1}
        assert chosen.memory_bytes is not None
        # The library alone takes several; the network has 0.1 MB of weights.
        assert 3 * 2**20 < chosen.memory_bytes < 60 * 2**20
