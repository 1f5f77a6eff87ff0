"""The real engines in workers: the same numbers, reasons for what is absent, damaged models."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.errors import BackendError
from edgeprep.interfaces import Device
from edgeprep.registry import default_registry
from edgeprep.runtime.engines import describe_backends
from edgeprep.workers import IsolatedBackend

TOOLS = Path(__file__).parents[2] / "tools"
ENGINES = ("onnxruntime", "openvino", "litert")
# As each engine calls a GPU that is not on a machine of this kind.
GPUS = {"onnxruntime": "cuda", "openvino": "GPU", "litert": "gpu"}
_FLIPPED = 12


@pytest.fixture(scope="module", params=ENGINES)
def isolated(request):
    backend = IsolatedBackend(default_registry().get("backend", request.param))
    yield backend
    backend.close()


@pytest.fixture
def variant(result, isolated):
    """The bundle's variant in float for the engine."""
    bundle = open_bundle(result.bundle)
    return bundle, next(
        variant
        for variant in bundle.manifest.variants
        if variant.format in isolated.formats and variant.precision == "fp32"
    )


def test_a_worker_gives_the_same_numbers_as_this_process(variant, isolated):
    bundle, float_variant = variant
    device = isolated.devices()[0]
    model, feed = bundle.model(float_variant), bundle.golden(float_variant).feed(0)
    runner = isolated.load(model, device, {"threads": 1})
    here = default_registry().get("backend", isolated.name)().load(model, device, {"threads": 1})
    for there, ours in zip(runner.run(feed), here.run(feed), strict=True):
        np.testing.assert_array_equal(there, ours)
    runner.close()
    here.close()


def test_a_device_that_is_not_there_is_refused_and_not_the_cpu_by_another_name(variant, isolated):
    bundle, float_variant = variant
    gpu = Device(name=GPUS[isolated.name], kind="gpu")
    assert gpu.name not in [device.name for device in isolated.devices()]
    with pytest.raises(BackendError, match=f"^backend '{isolated.name}'.*'{gpu.name}'"):
        isolated.load(bundle.model(float_variant), gpu, {"threads": 1})


def test_models_with_one_bit_turned_over_get_a_verdict_each(variant, isolated, result, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    report = import_module("benchmarks.flips").measure(
        isolated.name, str(result.bundle), models=_FLIPPED, seed=1
    )
    assert sum(report.details.values()) == _FLIPPED
    assert all(figure.met for figure in report.figures)


def test_the_first_open_tries_all_engines_in_workers_and_answers_here(
    result, pictures, monkeypatch, tmp_path
):
    monkeypatch.delenv("EDGEPREP_ISOLATE")
    with edgeprep.open(result.bundle, seconds=0.1) as session:
        verdicts = {outcome.candidate.backend: outcome.verdict for outcome in session.outcomes}
        labels = [session(picture).label for picture, _ in pictures[:4]]
        assert set(verdicts) == set(ENGINES)
        assert not {"rejected"} & {outcome.verdict for outcome in session.outcomes}
    with edgeprep.open(result.bundle, isolate=True) as isolated:
        assert isolated.remembered
        assert [isolated(picture).label for picture, _ in pictures[:4]] == labels


def test_doctor_says_the_same_of_engines_in_workers(monkeypatch):
    here = describe_backends(default_registry())
    monkeypatch.delenv("EDGEPREP_ISOLATE")
    there = describe_backends(default_registry())
    assert [(each["name"], each["devices"]) for each in there] == [
        (each["name"], each["devices"]) for each in here
    ]
    assert [each["versions"] for each in there] == [each["versions"] for each in here]
