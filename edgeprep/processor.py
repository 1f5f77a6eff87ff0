"""What the processor computes, and how much of it is ours, where engines do not say."""

import os
import platform
from functools import cache
from os import PathLike

__all__ = ["available_cpus", "is_x86", "sums_saturate"]

_X86 = ("x86_64", "amd64", "i386", "i686")
_VNNI = {"avx512_vnni", "avx_vnni"}


def available_cpus() -> int:
    """How many CPUs this process may use; containers and `taskset` allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_x86() -> bool:
    """Whether this is the kind of processor on which bundles are made."""
    return platform.machine().lower() in _X86


@cache
def sums_saturate(cpuinfo: str | PathLike[str] = "/proc/cpuinfo") -> bool:
    """Whether the quick way to multiply int8 is wrong here: on x86 without VNNI.

    There, two products of uint8 and int8 are added up in 16 bits and saturate, without an error.
    With weights of 7 bits they do not. Where the processor does not say what it can, the answer is
    yes, which leads to what is right on any.

    Source: VPMADDUBSW in the Intel 64 and IA-32 Architectures Software Developer's Manual, volume
        2; "When and why do I need to try U8U8?" in
        https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
    """
    if not is_x86():
        return False
    try:
        # Importing pathlib takes a device longer than all of this.
        with open(cpuinfo, encoding="utf-8") as file:  # noqa: PTH123
            flags = file.read()
    except OSError:
        return True
    return _VNNI.isdisjoint(flags.split())
