"""What this machine offers to ONNX Runtime: execution providers and cores."""

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
from msgspec import Struct

from edgeprep.interfaces import Absent, Device, DeviceKind
from edgeprep_onnx._plugged import plugin_faults

__all__ = ["Place", "absent", "cores", "devices", "place_of"]

# Azure is left out: it sends the pictures to a server. Several names may stand for one chip: they
# are different libraries, with different speed and different numbers.
DEVICES: Mapping[str, tuple[str, DeviceKind]] = {
    "CPUExecutionProvider": ("cpu", "cpu"),
    "NvTensorRTRTXExecutionProvider": ("tensorrt-rtx", "gpu"),
    "TensorrtExecutionProvider": ("tensorrt", "gpu"),
    "CUDAExecutionProvider": ("cuda", "gpu"),
    "MIGraphXExecutionProvider": ("migraphx", "gpu"),
    "ROCMExecutionProvider": ("rocm", "gpu"),
    "DmlExecutionProvider": ("directml", "gpu"),
    "WebGpuExecutionProvider": ("webgpu", "gpu"),
    "CoreMLExecutionProvider": ("coreml", "npu"),
    "NnapiExecutionProvider": ("nnapi", "npu"),
    "QNNExecutionProvider": ("qnn", "npu"),
    "RknpuExecutionProvider": ("rknpu", "npu"),
    "VitisAIExecutionProvider": ("vitisai", "npu"),
    "VSINPUExecutionProvider": ("vsinpu", "npu"),
    "CANNExecutionProvider": ("cann", "npu"),
    "ACLExecutionProvider": ("acl", "cpu"),
    "ArmNNExecutionProvider": ("armnn", "cpu"),
    "DnnlExecutionProvider": ("dnnl", "cpu"),
    "OpenVINOExecutionProvider": ("openvino", "cpu"),
    "XnnpackExecutionProvider": ("xnnpack", "cpu"),
}


# Builds and packages that have a provider, and the systems and processors that it is for.
PACKAGES: Mapping[str, str] = {
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "DmlExecutionProvider": "onnxruntime-directml",
    "WebGpuExecutionProvider": "onnxruntime-ep-webgpu",
    "QNNExecutionProvider": "onnxruntime-qnn",
    "CANNExecutionProvider": "onnxruntime-cann",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
}
SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "DmlExecutionProvider": ("win32",),
    "CoreMLExecutionProvider": ("darwin",),
    "NnapiExecutionProvider": ("android",),
    "NvTensorRTRTXExecutionProvider": ("linux", "win32"),
    "WebGpuExecutionProvider": ("linux", "win32", "darwin"),
}
ON_ARM = frozenset({"RknpuExecutionProvider", "VSINPUExecutionProvider"})


class Place(Struct, frozen=True, kw_only=True, eq=False):
    """A device, and how ONNX Runtime is told to use it.

    Attributes:
        device: as sessions know it.
        provider: the execution provider.
        ep_device: what a plugin's library found; None where the provider is in the build.
    """

    device: Device
    provider: str
    ep_device: Any = None


def devices() -> tuple[Device, ...]:
    """The devices of this build's execution providers, then those that plugins found; CPU first."""
    return tuple(place.device for place in _places())


def place_of(name: str) -> Place | None:
    """How to use the device `name`, or None where there is none."""
    return next((place for place in _places() if place.device.name == name), None)


def absent() -> tuple[Absent, ...]:
    """The providers that could be of use on such a machine, and are not here, with reasons."""
    missing = dict(plugin_faults())
    here = {place.provider for place in _places()}
    for provider in onnxruntime.get_all_providers():
        if provider in DEVICES and provider not in here and _fits(provider):
            package = PACKAGES.get(provider)
            remedy = f"; pip install {package}" if package else ""
            missing.setdefault(provider, f"this build of onnxruntime has no {provider}{remedy}")
    return tuple(
        Absent(name=_name(provider), kind=DEVICES.get(provider, ("", "npu"))[1], reason=reason)
        for provider, reason in missing.items()
        if provider not in here
    )


def _places() -> list[Place]:
    available = onnxruntime.get_available_providers()
    found = [
        Place(device=Device(name=name, kind=kind, description=provider), provider=provider)
        for provider, (name, kind) in DEVICES.items()
        if provider in available
    ]
    return [*found, *_plugged({*available})]


def _plugged(available: set[str]) -> Iterator[Place]:
    """What the libraries of plugins found; several of one provider are numbered."""
    plugin_faults()
    counts: Counter[str] = Counter()
    for each in onnxruntime.get_ep_devices():
        # A virtual device is good for compiling alone.
        if each.ep_name in available or each.device.metadata.get("is_virtual") == "1":
            continue
        name, index = _name(each.ep_name), counts[each.ep_name]
        counts[each.ep_name] += 1
        words = (each.ep_name, each.device.vendor, each.device.metadata.get("Description", ""))
        device = Device(
            name=f"{name}.{index}" if index else name,
            kind=each.device.type.name.lower(),
            description=" ".join(filter(None, words)),
        )
        yield Place(device=device, provider=each.ep_name, ep_device=each)


def _name(provider: str) -> str:
    known = DEVICES.get(provider)
    return known[0] if known else provider.removesuffix("ExecutionProvider").lower()


def _fits(provider: str) -> bool:
    systems = SYSTEMS.get(provider, ("linux", "win32", "android"))
    # What is for the CPU is another library for it, no accelerator.
    if DEVICES[provider][1] == "cpu" and provider != "OpenVINOExecutionProvider":
        return False
    arm = platform.machine().lower() in ("aarch64", "arm64", "armv7l")
    return sys.platform in systems and (arm or provider not in ON_ARM)


def cores() -> int:
    """The cores that this process may use, the hardware threads of one core counted once."""
    try:
        usable = os.sched_getaffinity(0)
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
    return len({_siblings(cpu) for cpu in usable})


def _siblings(cpu: int) -> str:
    topology = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    try:
        with open(topology, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return str(cpu)
