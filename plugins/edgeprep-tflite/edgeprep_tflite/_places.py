"""Where LiteRT could run models besides the CPU: its accelerators, and delegates by their path.

Nothing here starts a driver: whether one works is found when a model is loaded on it.
"""

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from msgspec import Struct, field

from edgeprep.interfaces import Absent, Device, DeviceKind

__all__ = ["DELEGATES", "Delegate", "absent", "delegate_of", "devices"]

# `libedgetpu.so.1`, `npu=/opt/libfoo.so`, `gpu=/opt/libbar.so,cache=/tmp/bar`: several are
# separated as the directories of PATH are.
DELEGATES = "EDGEPREP_LITERT_DELEGATES"
# How libraries begin: of Linux (ELF), of macOS (Mach-O, of one processor or several), of Windows.
_LIBRARY_MARKS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_MARK_BYTES = 4

CPU = Device(name="cpu", kind="cpu")


class Delegate(Struct, frozen=True, kw_only=True):
    """A library that takes operators over from the interpreter.

    Attributes:
        name: the device's: the file's, without `lib` and what comes from the first dot on.
        kind: what it computes on.
        path: of the library; without a directory, the system's loader looks for it.
        options: what it is told, by its own names.
    """

    name: str
    kind: DeviceKind
    path: str
    options: Mapping[str, str] = field(default_factory=dict)


def devices() -> tuple[Device, ...]:
    """The CPU, then the accelerators that seem to be here, then the delegates that are named."""
    found = [place for place in (_gpu(), _npu()) if isinstance(place, Device)]
    named = [
        Device(name=each.name, kind=each.kind, description=each.path)
        for each in _delegates()
        if isinstance(each, Delegate)
    ]
    return (CPU, *found, *named)


def absent() -> tuple[Absent, ...]:
    """The accelerators that are not here, and the named delegates that cannot be, with reasons."""
    missing = [place for place in (_gpu(), _npu(), *_delegates()) if isinstance(place, Absent)]
    if not os.environ.get(DELEGATES):
        reason = f"no delegate is named; set {DELEGATES}=npu=/usr/lib/libedgetpu.so.1, for example"
        missing.append(Absent(name="delegate", kind="npu", reason=reason))
    return tuple(missing)


def delegate_of(device: str) -> Delegate | None:
    """The delegate behind the device of that name, if it is one."""
    named = (each for each in _delegates() if isinstance(each, Delegate))
    return next((each for each in named if each.name == device), None)


def _gpu() -> Device | Absent:
    reason = _why_no_gpu()
    if reason:
        return Absent(name="gpu", kind="gpu", reason=reason)
    return Device(name="gpu", kind="gpu", description="LiteRT's GPU accelerator")


def _npu() -> Device | Absent:
    reason = _why_no_npu()
    if reason:
        return Absent(name="npu", kind="npu", reason=reason)
    return Device(name="npu", kind="npu", description="LiteRT's NPU accelerator")


def _why_no_gpu() -> str:
    folder = _litert()
    if folder is None:
        return "tflite-runtime has no GPU accelerator; pip install ai-edge-litert"
    if not any(folder.glob("*LiteRt*Accelerator*.*")):
        return "this build of ai-edge-litert has no GPU accelerator"
    if sys.platform != "linux":  # elsewhere the system brings Metal or Direct3D along
        return ""
    if missing := _why_not_loaded("libvulkan.so.1"):
        return f"{missing}; install the Vulkan loader and a driver"
    if not any(_vulkan_drivers()):
        return "the Vulkan loader finds no driver; install the one of the GPU"
    return ""


def _why_no_npu() -> str:
    folder = _litert()
    if folder is None:
        return "tflite-runtime has no NPU accelerator; pip install ai-edge-litert"
    libraries = sorted(folder.glob("vendors/*/dispatch/*LiteRtDispatch*"))
    if not libraries:
        return "this build of ai-edge-litert has no dispatch library of an NPU's vendor"
    # Of Intel's alone it is known where its driver shows; LiteRT takes the first vendor's library.
    intel = "intel_openvino" in libraries[0].parts
    if intel and not any(Path("/dev/accel").glob("accel*")):
        return "there is no /dev/accel/accel0, by which Linux shows an Intel NPU"
    return _why_not_loaded(str(libraries[0]))


def _litert() -> Path | None:
    """The directory of ai-edge-litert; None where the predecessor runs."""
    spec = find_spec("ai_edge_litert")
    return Path(spec.origin).parent if spec and spec.origin else None


@cache
def _why_not_loaded(library: str) -> str:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return ""


def _vulkan_drivers() -> Iterator[Path]:
    """The manifests of drivers, in the places where the Vulkan loader looks on Linux.

    Source: "Driver Discovery on Linux" in LoaderDriverInterface.md of the Vulkan loader.
    """
    environment = os.environ
    for variable in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
        if named := environment.get(variable):
            yield from (path for path in map(Path, named.split(os.pathsep)) if path.exists())
            return
    home = Path("~").expanduser() if "HOME" in environment else Path("/")
    folders = [
        environment.get("XDG_CONFIG_HOME") or f"{home}/.config",
        *(environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep),
        "/etc",
        environment.get("XDG_DATA_HOME") or f"{home}/.local/share",
        *(environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(os.pathsep),
    ]
    for folder in folders:
        yield from Path(folder).glob("vulkan/icd.d/*.json")


def _delegates() -> Iterator[Delegate | Absent]:
    for entry in os.environ.get(DELEGATES, "").split(os.pathsep):
        if not entry.strip():
            continue
        place, *settings = (part.strip() for part in entry.split(","))
        kind, _, path = place.rpartition("=")
        name = Path(path).name.partition(".")[0].removeprefix("lib") or "delegate"
        if reason := _why_no_delegate(kind, path, settings):
            yield Absent(name=name, kind="npu", reason=f"{DELEGATES}: {reason}")
        else:
            options = {key: value for key, _, value in (each.partition("=") for each in settings)}
            known: DeviceKind = kind or "npu"  # type: ignore[assignment]
            yield Delegate(name=name, kind=known, path=path, options=options)


def _why_no_delegate(kind: str, path: str, settings: list[str]) -> str:
    kinds = get_args(DeviceKind)
    if kind and kind not in kinds:
        return f"must start with a kind of device, one of {kinds!r}, got {kind!r}"
    if wrong := [each for each in settings if "=" not in each]:
        return f"options must have the form key=value, got {wrong[0]!r}"
    if "/" in path and not Path(path).is_file():
        return f"must name a library that is there, got {path!r}"
    if not _is_library(path):
        return f"must name a library, got {path!r}"
    return ""


def _is_library(path: str) -> bool:
    """Whether `path` is a library by its first bytes; the system looks for a mere name."""
    if "/" not in path:
        return any(ending in path for ending in (".so", ".dylib", ".dll"))
    try:
        with Path(path).open("rb") as file:
            return file.read(_MARK_BYTES).startswith(_LIBRARY_MARKS)
    except OSError:
        return False
