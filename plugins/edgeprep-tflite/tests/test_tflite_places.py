"""Where LiteRT can run models besides the CPU, and why not: by a delegate that is a real one.

`delegate/multiplying.c` is what the delegate of these tests is built from.
"""

import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import BackendError
from edgeprep.interfaces import Absent, Device, Model, Precision, Runner
from edgeprep.runtime.golden import relative_error
from edgeprep_tflite import LiteRTBackend, _places
from edgeprep_tflite._accelerated import _complaint, _others

LIBRARY = Path(__file__).parent / "delegate" / "libmultiplying.so"
VARIABLE = "EDGEPREP_LITERT_DELEGATES"
GPU = Device(name="gpu", kind="gpu")
Name = Callable[[str], None]

# What LiteRT 2.3 printed where the driver of Vulkan was Mesa 22.
NO_ADAPTER = b"""\
INFO: [delegate_webgpu.cc:342] Create WebGPU environment (use_low_power=0)
Warning: Couldn't load Vulkan
 - While initializing adapter (backend=BackendType::Vulkan)
    at InitializeImpl (third_party/dawn/src/dawn/native/vulkan/PhysicalDeviceVk.cpp:256)

ERROR: [delegate_webgpu.cc:359] Failed to initialize WebGPU environment: INTERNAL: No adapters found
E0000 00:00:1795322989.043140   31636 delegate_webgpu.cc:736] Failed to get or create environment
=== Source Location Trace: ===
third_party/odml/litert/ml_drift/delegate/delegate_webgpu.cc:432
"""


@pytest.fixture
def name_delegates(monkeypatch: pytest.MonkeyPatch) -> Name:
    return lambda value: monkeypatch.setenv(VARIABLE, value)


@pytest.fixture
def run(
    backend: LiteRTBackend,
    models: Mapping[Precision, Model],
    hard_pictures: Mapping[str, NDArray[np.uint8]],
) -> Callable[[Runner], list[tuple[NDArray[np.float32], ...]]]:
    return lambda runner: [runner.run([picture]) for picture in hard_pictures.values()]


def named(backend: LiteRTBackend) -> Device:
    return next(device for device in backend.devices() if device.name == "multiplying")


def test_a_delegate_is_a_device_and_computes_right_numbers(
    backend: LiteRTBackend,
    models: Mapping[Precision, Model],
    load: Callable[[Model], Runner],
    run: Callable[[Runner], list[tuple[NDArray[np.float32], ...]]],
    name_delegates: Name,
) -> None:
    name_delegates(f"{LIBRARY}")
    device = named(backend)
    assert device == Device(name="multiplying", kind="npu", description=str(LIBRARY))
    assert backend.options(device, "fp32") == ({},)
    expected = run(load(models["fp32"]))
    found = run(backend.load(models["fp32"], device, {}))
    # float32, summed in another order.
    assert max(map(relative_error, found, expected)) <= 1e-5


def test_a_delegate_hears_its_options_and_it_is_the_one_that_computes(
    backend: LiteRTBackend,
    models: Mapping[Precision, Model],
    load: Callable[[Model], Runner],
    run: Callable[[Runner], list[tuple[NDArray[np.float32], ...]]],
    name_delegates: Name,
) -> None:
    name_delegates(f"gpu={LIBRARY},take=first,factor=9")
    device = named(backend)
    assert device.kind == "gpu"
    expected = run(load(models["fp32"]))
    wrong = run(backend.load(models["fp32"], device, {}))
    assert min(map(relative_error, wrong[1:], expected[1:])) > 0.01


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            f"{LIBRARY},take=none",
            "device 'multiplying' must run at least one operator of the model, got 0",
        ),
        (
            f"{LIBRARY},speed=high",
            (
                f"device 'multiplying' must have a delegate in {str(LIBRARY)!r}, got "
                f"'Failed to load delegate from {LIBRARY} multiplying: the option is not known'"
            ),
        ),
        (
            "npu=libmultiplying.so.7",
            (
                "device 'multiplying' must have a delegate in 'libmultiplying.so.7', got "
                "'libmultiplying.so.7: cannot open shared object file: No such file or directory'"
            ),
        ),
    ],
    ids=["takes nothing", "option", "no such library"],
)
def test_a_delegate_that_cannot_be_used_is_an_error_that_says_why(
    value: str,
    message: str,
    backend: LiteRTBackend,
    models: Mapping[Precision, Model],
    name_delegates: Name,
) -> None:
    name_delegates(value)
    with pytest.raises(BackendError, match=f"^backend 'litert': {re.escape(message)}$"):
        backend.load(models["fp32"], named(backend), {})


def test_a_library_that_is_no_delegate_is_an_error_that_says_what_it_lacks(
    backend: LiteRTBackend, models: Mapping[Precision, Model], name_delegates: Name
) -> None:
    spec = importlib.util.find_spec("_ctypes")
    assert spec is not None
    assert spec.origin is not None
    name_delegates(spec.origin)
    device = backend.devices()[-1]
    message = rf"^backend 'litert': device '_ctypes' must have a delegate in '{spec.origin}', got "
    with pytest.raises(BackendError, match=message + ".*tflite_plugin_create_delegate'$"):
        backend.load(models["fp32"], device, {})


@pytest.mark.parametrize(
    ("value", "absent"),
    [
        (
            "/nowhere/libedgetpu.so.1",
            Absent(
                name="edgetpu",
                kind="npu",
                reason=f"{VARIABLE}: must name a library that is there, "
                "got '/nowhere/libedgetpu.so.1'",
            ),
        ),
        (
            f"npu={__file__}",
            Absent(
                name="test_tflite_places",
                kind="npu",
                reason=f"{VARIABLE}: must name a library, got {__file__!r}",
            ),
        ),
        ("x", Absent(name="x", kind="npu", reason=f"{VARIABLE}: must name a library, got 'x'")),
        (
            "npu=",
            Absent(name="delegate", kind="npu", reason=f"{VARIABLE}: must name a library, got ''"),
        ),
        (
            "tpu=libedgetpu.so.1",
            Absent(
                name="edgetpu",
                kind="npu",
                reason=f"{VARIABLE}: must start with a kind of device, one of "
                "('cpu', 'gpu', 'npu', 'dsp'), got 'tpu'",
            ),
        ),
        (
            "libedgetpu.so.1,usb",
            Absent(
                name="edgetpu",
                kind="npu",
                reason=f"{VARIABLE}: options must have the form key=value, got 'usb'",
            ),
        ),
        (
            "",
            Absent(
                name="delegate",
                kind="npu",
                reason="no delegate is named; set "
                f"{VARIABLE}=npu=/usr/lib/libedgetpu.so.1, for example",
            ),
        ),
    ],
    ids=["missing", "no library", "no name of one", "no name", "kind", "option", "none"],
)
def test_a_delegate_that_is_named_wrongly_is_absent_with_the_reason(
    value: str, absent: Absent, backend: LiteRTBackend, name_delegates: Name
) -> None:
    name_delegates(value)
    assert backend.absent()[-1] == absent
    assert absent.name not in {device.name for device in backend.devices()}


def test_several_delegates_are_named_as_directories_are_in_path(
    backend: LiteRTBackend, name_delegates: Name
) -> None:
    name_delegates(os.pathsep.join(["liba.so.1", "gpu=libb.so", "cpu=/nowhere/libc.so"]))
    assert [(device.name, device.kind) for device in backend.devices()[-2:]] == [
        ("a", "npu"),
        ("b", "gpu"),
    ]
    assert [absent.name for absent in backend.absent()][-1] == "c"


@pytest.mark.parametrize("place", ["gpu", "npu"])
def test_each_accelerator_is_a_device_or_absent_with_a_reason(
    place: str, backend: LiteRTBackend
) -> None:
    absent = {device.name: device.reason for device in backend.absent()}
    assert (place in {device.name for device in backend.devices()}) != (place in absent)
    assert absent.get(place) != ""


def test_a_vulkan_loader_without_a_driver_is_a_reason(
    backend: LiteRTBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_places.sys, "platform", "linux")
    monkeypatch.setattr(_places, "_why_not_loaded", lambda library: "")  # as if it were here
    manifest = tmp_path / "driver.json"
    monkeypatch.setenv("VK_DRIVER_FILES", str(manifest))
    reason = "the Vulkan loader finds no driver; install the one of the GPU"
    assert backend.absent()[0] == Absent(name="gpu", kind="gpu", reason=reason)
    manifest.write_text("{}")
    assert backend.devices()[1].name == "gpu"


def test_half_precision_is_worth_measuring_where_weights_have_no_more(
    backend: LiteRTBackend,
) -> None:
    assert backend.options(GPU, "fp32") == ({"precision": "f32"},)
    assert backend.options(GPU, "fp16") == ({"precision": "f32"}, {"precision": "f16"})


def test_the_reason_of_a_failure_is_what_litert_printed() -> None:
    assert _complaint(NO_ADAPTER, GPU) == (
        "Failed to initialize WebGPU environment: INTERNAL: No adapters found"
    )
    assert _complaint(NO_ADAPTER.replace(b"ERROR", b"INFO"), GPU) == ""


def test_an_npu_without_its_compiler_is_a_failure() -> None:
    # LiteRT goes on with the CPU then, and says that all is accelerated.
    printed = b"WARNING: [compiler_plugin.cc:312] Failed to load plugin at: /a/b.so with error:\n"
    assert _complaint(printed, GPU) == ""
    npu = Device(name="npu", kind="npu")
    assert _complaint(printed, npu) == "Failed to load plugin at: /a/b.so with error:"


def test_what_others_print_meanwhile_is_not_lost() -> None:
    assert _others(NO_ADAPTER) == []
    assert _others(b"hello\n" + NO_ADAPTER + b"world") == [b"hello\n", b"world"]
