"""What this machine offers to ONNX Runtime: execution providers and cores."""

import os
from collections.abc import Mapping

import onnxruntime  # type: ignore[import-untyped]

from edgeprep.interfaces import Device, DeviceKind

__all__ = ["cores", "devices", "provider_of"]

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


def _siblings(cpu: int) -> str:
    topology = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    try:
        with open(topology, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return str(cpu)
