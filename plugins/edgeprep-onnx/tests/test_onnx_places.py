"""Where ONNX Runtime can run models here, and why not elsewhere."""

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from edgeprep.interfaces import Device, Model, Precision
from edgeprep_onnx import OnnxRuntimeBackend, _machine
from edgeprep_onnx._context import compile_ahead, facts
from edgeprep_onnx._plugged import plugin_faults


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of packages; what they bring is looked for anew."""
    monkeypatch.syspath_prepend(tmp_path)
    plugin_faults.cache_clear()
    yield tmp_path
    plugin_faults.cache_clear()
    for name in [name for name in sys.modules if name.startswith("onnxruntime_ep_abacus")]:
        del sys.modules[name]


def package(site: Path, content: str) -> None:
    (site / "onnxruntime_ep_abacus").mkdir()
    (site / "onnxruntime_ep_abacus" / "__init__.py").write_text(content)


def reasons(backend: OnnxRuntimeBackend) -> dict[str, str]:
    return {absent.name: absent.reason for absent in backend.absent()}


def test_every_provider_of_this_system_is_a_device_or_absent_with_a_reason(
    backend: OnnxRuntimeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_machine.sys, "platform", "linux")
    monkeypatch.setattr(_machine.platform, "machine", lambda: "x86_64")
    here = {device.name for device in backend.devices()}
    absent = reasons(backend)
    for name in ("cuda", "tensorrt", "openvino", "webgpu", "qnn", "cann"):
        assert (name in here) != (name in absent)
    assert all(absent.values())
    # Neither of other systems, nor what sends pictures to a server, nor kernels of other CPUs.
    assert {"directml", "coreml", "nnapi", "azure", "rknpu", "acl"}.isdisjoint(here | {*absent})


def test_a_provider_that_the_build_lacks_says_what_to_install(backend: OnnxRuntimeBackend) -> None:
    assert "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    assert reasons(backend)["cuda"] == (
        "this build of onnxruntime has no CUDAExecutionProvider; pip install onnxruntime-gpu"
    )


def test_a_package_that_cannot_be_imported_is_absent_with_the_reason(
    backend: OnnxRuntimeBackend, site: Path
) -> None:
    package(site, "import no_such_library")
    assert reasons(backend)["abacus"] == (
        "onnxruntime_ep_abacus fails: ModuleNotFoundError: No module named 'no_such_library'"
    )


def test_a_library_that_is_no_provider_is_absent_with_the_reason(
    backend: OnnxRuntimeBackend, site: Path
) -> None:
    spec = importlib.util.find_spec("_ctypes")
    assert spec is not None
    package(
        site,
        "def get_ep_names(): return ['AbacusExecutionProvider']\n"
        f"def get_library_path(): return {spec.origin!r}\n",
    )
    reason = reasons(backend)["abacus"]
    assert reason.startswith("onnxruntime_ep_abacus cannot be loaded: Fail: [ONNXRuntimeError]")
    assert reason.endswith("undefined symbol: CreateEpFactories")
    assert next(device.name for device in backend.devices()) == "cpu"


def test_what_the_libraries_of_plugins_find_are_devices(
    backend: OnnxRuntimeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ONNX Runtime describes them: no machine of ours has two of a kind."""

    def found(name: str, kind: str, **metadata: str) -> SimpleNamespace:
        hardware = SimpleNamespace(
            type=SimpleNamespace(name=kind), vendor="Maker", metadata=metadata
        )
        return SimpleNamespace(ep_name=name, device=hardware)

    given = [
        found("CPUExecutionProvider", "CPU"),
        found("WebGpuExecutionProvider", "GPU", Description="Big One"),
        found("WebGpuExecutionProvider", "GPU"),
        found("WebGpuExecutionProvider", "GPU", is_virtual="1"),
        found("AbacusExecutionProvider", "NPU"),
    ]
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: given)
    assert backend.devices()[-3:] == (
        Device(name="webgpu", kind="gpu", description="WebGpuExecutionProvider Maker Big One"),
        Device(name="webgpu.1", kind="gpu", description="WebGpuExecutionProvider Maker"),
        Device(name="abacus", kind="npu", description="AbacusExecutionProvider Maker"),
    )
    assert "webgpu" not in reasons(backend)


def test_the_cpu_compiles_nothing_ahead(
    backend: OnnxRuntimeBackend, models: Mapping[Precision, Model]
) -> None:
    cpu = backend.devices()[0]
    assert backend.compiled_for(cpu) is None
    place = _machine.place_of("cpu")
    assert place is not None
    content = models["fp32"].files["model.onnx"]
    assert compile_ahead(content, place, onnxruntime.SessionOptions()) is None


def test_forms_of_a_provider_of_the_build_are_not_kept_as_nothing_tells_its_chip() -> None:
    device = Device(name="tensorrt", kind="gpu", description="TensorrtExecutionProvider")
    assert facts(_machine.Place(device=device, provider="TensorrtExecutionProvider")) is None


def test_what_a_plugin_compiles_depends_on_its_versions(
    backend: OnnxRuntimeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    hardware = SimpleNamespace(
        type=SimpleNamespace(name="NPU"), vendor="Maker", metadata={"driver": "7"}
    )
    found = SimpleNamespace(
        ep_name="AbacusExecutionProvider", device=hardware, ep_metadata={"version": "0.4"}
    )
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: [found])
    found_facts = (backend.compiled_for(backend.devices()[-1]) or "").splitlines()
    assert found_facts[0] == onnxruntime.__version__
    assert found_facts[-3:] == ["AbacusExecutionProvider Maker", "version=0.4", "driver=7"]
