"""The one place where it is checked that the libraries of a class are on this machine."""

import sys
from importlib.util import find_spec
from typing import TypeVar

from edgeprep.errors import BackendUnavailable
from edgeprep.registry.kinds import kind_of

__all__ = ["create", "missing_requirements"]

T = TypeVar("T")


def missing_requirements(cls: type) -> tuple[str, ...]:
    """The entries of `cls.requires` that this machine lacks; nothing is imported to find out.

    Backends, exporters and passes have `requires`, and `install`, which says how to get them.

    An entry is the name of a module, or several joined by ` or `, any one of which is enough:
    `"ai_edge_litert or tflite_runtime"`.
    """
    return tuple(
        entry
        for entry in getattr(cls, "requires", ())
        if not any(_is_importable(module) for module in entry.split(" or "))
    )


def create(cls: type[T], **fields: object) -> T:
    """An instance of `cls`, once the libraries that it needs are known to be there.

    Raises:
        BackendUnavailable: one of them is missing or cannot be imported; the message says what to
            install.
    """
    what = f"{kind_of(cls)} {getattr(cls, 'name', cls.__name__)!r}"
    install = getattr(cls, "install", "")
    remedy = f"; pip install {install}" if install else ""
    missing = missing_requirements(cls)
    if missing:
        are = "is" if len(missing) == 1 else "are"
        listing = " and ".join(missing)
        raise BackendUnavailable(f"{what} needs {listing}, which {are} not installed{remedy}")
    try:
        return cls(**fields)
    except ImportError as fault:
        raise BackendUnavailable(
            f"{what} cannot import its library, got {fault}{remedy}"
        ) from fault


def _is_importable(module: str) -> bool:
    if module in sys.modules:
        return True
    try:
        # Of a dotted name the package alone: to look inside it, find_spec would import it.
        return find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
