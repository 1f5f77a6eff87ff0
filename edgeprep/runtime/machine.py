"""What a measured choice depends on besides the bundle: this machine and its engines."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.util import find_spec

from edgeprep.interfaces import Backend
from edgeprep.processor import available_cpus

__all__ = ["describe_machine", "fingerprint"]


def describe_machine() -> dict[str, str]:
    """The processor, how many CPUs may be used, and the operating system."""
    return {
        "processor": _cpu_facts().get("model name") or platform.processor() or platform.machine(),
        "machine": platform.machine(),
        "cpus": str(available_cpus()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def fingerprint(backends: Iterable[type[Backend]], libraries: Sequence[str] = ()) -> str:
    """A digest that changes when the processor, the system, an engine or one of `libraries` does.

    They are recognised by their files on disk and not by their versions, because asking an
    engine for its version means importing it, which costs more than the rest of opening.
    """
    # NOTE: not platform.platform(), which starts a process to ask for the processor.
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    facts = [system, str(available_cpus()), repr(sorted(_cpu_facts().items())), *_accelerators()]
    for backend in sorted(backends, key=lambda cls: cls.name):
        modules = [name for need in backend.requires for name in need.split(" or ")]
        facts += [f"{backend.name} {backend.__module__}", *map(_module_facts, modules)]
    facts += map(_module_facts, libraries)
    return sha256("\n".join(facts).encode()).hexdigest()


def _accelerators() -> Iterator[str]:
    """The devices and drivers that Linux shows; engines find theirs among these."""
    for folder in ("/dev/dri", "/dev/accel"):
        if os.path.isdir(folder):
            yield from sorted(os.listdir(folder))
    for driver in ("/proc/driver/nvidia/version", "/sys/module/intel_vpu/version"):
        yield _text(driver)


def _module_facts(name: str) -> str:
    try:
        # Of a dotted name the package alone: to look inside it, find_spec would import it.
        spec = find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        return f"{name} absent"
    file = os.stat(spec.origin)
    return f"{name} {spec.origin} {file.st_mtime_ns} {file.st_size}"


def _cpu_facts() -> dict[str, str]:
    """The first processor's name and instruction sets; only Linux tells them without a library."""
    wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    facts: dict[str, str] = {}
    for line in _text("/proc/cpuinfo").split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        if key.strip() in wanted:
            facts[key.strip()] = value.strip()
    return facts


def _text(path: str) -> str:
    """What a file of the system says; nothing where it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
