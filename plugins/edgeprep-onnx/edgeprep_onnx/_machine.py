"""What this machine offers to ONNX Runtime: execution providers, cores, exact int8 products."""

import os
import platform
from collections.abc import Mapping
from functools import cache
from os import PathLike

import onnxruntime  # type: ignore[import-untyped]

from edgeprep.interfaces import Device, DeviceKind

__all__ = ["cores", "devices", "products_saturate", "provider_of"]

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
    "ACLExecutionProvider": ("acl", "cpu"),
    "ArmNNExecutionProvider": ("armnn", "cpu"),
    "DnnlExecutionProvider": ("dnnl", "cpu"),
    "OpenVINOExecutionProvider": ("openvino", "cpu"),
    "XnnpackExecutionProvider": ("xnnpack", "cpu"),
}

X86 = ("x86_64", "amd64", "i386", "i686")
VNNI = {"avx512_vnni", "avx_vnni"}


def devices() -> tuple[Device, ...]:
    """The devices of the execution providers in this build; the CPU comes first."""
    available = onnxruntime.get_available_providers()
    return tuple(
        Device(name=name, kind=kind, description=provider)
        for provider, (name, kind) in DEVICES.items()
        if provider in available
    )


def provider_of(name: str) -> str | None:
    """The execution provider behind the device `name`, or None where this build has none."""
    return next((device.description for device in devices() if device.name == name), None)


def cores() -> int:
    """The cores that this process may use, the hardware threads of one core counted once."""
    try:
        usable = os.sched_getaffinity(0)
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
    return len({_siblings(cpu) for cpu in usable})


@cache
def products_saturate(cpuinfo: str | PathLike[str] = "/proc/cpuinfo") -> bool:
    """Whether fast int8 products are wrong here: on x86 without VNNI, their 16-bit sums saturate.

    Where the processor does not say what it can, the answer is yes, which is slow and right.

    Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "When and
    why do I need to try U8U8?". MobileNetV2 on an emulated Haswell: 25 dB from the exact result,
    and no difference with `session.x64quantprecision`, which halves the speed where it is not due.
    """
    if platform.machine().lower() not in X86:
        return False
    try:
        with open(cpuinfo, encoding="utf-8") as file:
            flags = file.read()
    except OSError:
        return True
    return VNNI.isdisjoint(flags.split())


def _siblings(cpu: int) -> str:
    topology = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    try:
        with open(topology, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return str(cpu)
