"""Where OpenVINO can run models here, why not elsewhere, and what it compiled before."""

import gc
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Model, Options, Source
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter
from edgeprep_openvino._engine import Engine

THREAD: Options = {"threads": 1, "precision": "f32"}


@pytest.fixture
def float_model(make_source: Callable[[], Source]) -> Model:
    return OpenVINOExporter().export(make_source(), "fp32")


def test_each_kind_of_device_is_there_or_absent_with_the_engines_reason(
    backend: OpenVINOBackend,
) -> None:
    here = {device.name.partition(".")[0] for device in backend.devices()}
    absent = {device.name: device for device in backend.absent()}
    assert here | {*absent} == {"CPU", "GPU", "NPU"}
    assert here.isdisjoint(absent)
    assert all(device.reason for device in absent.values())
    assert [absent[name].kind for name in absent] == [name.lower() for name in absent]


def test_a_plugin_that_finds_no_device_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()

    class Core:
        """Loads the plugin, which is there, and finds no device: as on most machines."""

        available_devices = ("CPU",)

        def get_property(self, device: str, name: str) -> list[str]:
            if device == "GPU":
                raise RuntimeError("Exception from a.cpp:1:\nCannot load library: libOpenCL.so.1")
            return []

    monkeypatch.setattr(engine, "_core", Core())
    assert [(device.name, device.reason) for device in engine.absent()] == [
        ("GPU", "Cannot load library: libOpenCL.so.1"),
        ("NPU", "OpenVINO's plugin for the NPU finds none; install its driver"),
    ]


def test_what_was_compiled_is_loaded_and_computes_the_same_to_the_bit(
    backend: OpenVINOBackend, float_model: Model
) -> None:
    device = backend.devices()[0]
    for options in backend.options(device, "fp32"):
        first = backend.load(float_model, device, options)
        compiled = first.compiled()
        assert compiled
        again = backend.load_compiled(compiled, float_model, device, options)
        assert (again.inputs, again.outputs) == (first.inputs, first.outputs)
        picture = np.random.default_rng(3).integers(0, 256, first.inputs[0].shape, np.uint8)
        for one, other in zip(first.run([picture]), again.run([picture]), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_compiled_form_depends_on_the_release_and_the_chip(backend: OpenVINOBackend) -> None:
    device = backend.devices()[0]
    facts = (backend.compiled_for(device) or "").splitlines()
    assert backend.versions()["openvino"] in facts[0]
    assert device.name in facts
    assert device.description in facts


def test_what_is_no_compiled_form_is_refused(backend: OpenVINOBackend, float_model: Model) -> None:
    message = r"^backend 'openvino': must load its compiled model on device 'CPU', got '.+'$"
    with pytest.raises(BackendError, match=message):
        backend.load_compiled(b"no model at all", float_model, backend.devices()[0], THREAD)


def test_a_closed_runner_has_no_compiled_form(backend: OpenVINOBackend, float_model: Model) -> None:
    runner = backend.load(float_model, backend.devices()[0], THREAD)
    runner.close()
    message = r"^backend 'openvino': a runner must be open to run, got one that was closed$"
    with pytest.raises(ClosedError, match=message):
        runner.compiled()


def test_what_a_compiled_form_depends_on_is_asked_for_without_a_loss_of_memory(
    backend: OpenVINOBackend,
) -> None:
    device = backend.devices()[0]
    backend.compiled_for(device)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(50):
            backend.compiled_for(device)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # It was 5 kB a call, which is what each open makes.
    assert kept < 20_000
