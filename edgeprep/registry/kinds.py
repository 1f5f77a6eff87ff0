"""The five kinds of classes that plugins offer, and what makes one of them complete."""

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from edgeprep.errors import PluginError
from edgeprep.interfaces import Backend, Exporter, Pass, Precision, Stage, Task
from edgeprep.schema import fields, show

__all__ = ["BASES", "Kind", "check_class", "kind_of", "offer_key"]

Kind = Literal["stage", "pass", "exporter", "backend", "task"]

BASES: Mapping[Kind, type] = {
    "stage": Stage,
    "pass": Pass,
    "exporter": Exporter,
    "backend": Backend,
    "task": Task,
}
# The class attributes that are tuples of strings, beside `requires`, which all kinds may have.
_TUPLES: Mapping[Kind, str] = {"exporter": "precisions", "backend": "formats", "task": "metrics"}


def kind_of(cls: type) -> str:
    """The kind of thing that `cls` is, for messages."""
    return next((kind for kind, base in BASES.items() if issubclass(cls, base)), "class")


def offer_key(kind: Kind, cls: Any) -> str:
    """The name that `cls` occupies; stages of several versions live side by side."""
    return f"{cls.name}@{cls.version}" if kind == "stage" else str(cls.name)


def check_class(kind: Kind, cls: Any) -> None:
    """Raise PluginError, with the rule alone, where `cls` is no complete class of its `kind`."""
    base = BASES[kind]
    if not isinstance(cls, type):
        raise PluginError(f"must offer every {kind} as a class, got {show(cls)}")
    where = f"{kind} class {cls.__name__!r}"
    if not issubclass(cls, base):
        raise PluginError(f"{where}: must be derived from edgeprep.interfaces.{base.__name__}")
    abstract = getattr(cls, "__abstractmethods__", ())
    if abstract:
        missing = ", ".join(map(repr, sorted(abstract)))
        raise PluginError(f"{where}: must define all of {base.__name__}, got none of {missing}")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        rule = "must have a class attribute 'name' of a-z, 0-9, - and _"
        raise PluginError(f"{where}: {rule}, got {show(name)}")
    version = getattr(cls, "version", 1)
    if not isinstance(version, int) or version < 1:
        raise PluginError(f"{where}: 'version' must be a whole number from 1, got {show(version)}")
    _check_strings(cls, "requires", where)
    install = getattr(cls, "install", "")
    if not isinstance(install, str):
        raise PluginError(f"{where}: 'install' must be what to tell pip, got {show(install)}")
    listed = _check_strings(cls, _TUPLES[kind], where) if kind in _TUPLES else ()
    if kind in ("exporter", "backend") and not listed:
        raise PluginError(f"{where}: {_TUPLES[kind]!r} must name at least one, got ()")
    for precision in getattr(cls, "precisions", ()):
        if precision not in get_args(Precision):
            rule = f"'precisions' must be of {', '.join(map(repr, get_args(Precision)))}"
            raise PluginError(f"{where}: {rule}, got {show(precision)}")
    if kind != "backend":
        _check_fields(cls, where)


def _check_strings(cls: type, attribute: str, where: str) -> tuple[str, ...]:
    value = getattr(cls, attribute, () if attribute == "requires" else None)
    # A string is a sequence of strings too, and ("onnx") is a string.
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise PluginError(f"{where}: {attribute!r} must be a tuple of strings, got {show(value)}")
    return value


def _check_fields(cls: type, where: str) -> None:
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise PluginError(f"{where}: must be a frozen dataclass, whose fields are a recipe's keys")
    try:
        fields(cls)
    except TypeError as fault:
        raise PluginError(f"{where}: every field must be a key of a recipe; {fault}") from fault
