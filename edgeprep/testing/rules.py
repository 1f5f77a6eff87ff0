"""What all checks share: how a broken rule is said, and what every value must be."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeprep.errors import PluginError
from edgeprep.interfaces import FileStage
from edgeprep.registry import default_registry, missing_requirements
from edgeprep.registry.kinds import Kind, check_class
from edgeprep.registry.offers import in_one_line
from edgeprep.schema import build, show, to_table

__all__ = [
    "ConformanceError",
    "forbid_errors",
    "require",
    "require_installed",
    "require_instance",
    "require_rebuilt",
    "require_value",
]


class ConformanceError(AssertionError):
    """A rule is broken; the message is one sentence: `<where>: <rule>, got <what came>`."""


def require(holds: object, message: str) -> None:
    """Raise ConformanceError with `message` unless the rule `holds`."""
    if not holds:
        raise ConformanceError(message)


@contextmanager
def forbid_errors(rule: str) -> Iterator[None]:
    """Turn any error inside into a ConformanceError that begins with `rule`."""
    try:
        yield
    except ConformanceError:
        raise
    except Exception as fault:
        raise ConformanceError(f"{rule}, got {in_one_line(fault)}") from fault


def require_instance(kind: Kind, value: Any) -> str:
    """Refuse a `value` whose class the registry would refuse; returns what to call it."""
    if isinstance(value, type):
        raise ConformanceError(
            f"{kind} class {value.__name__!r}: must be checked by an instance, got the class; "
            f"construct it: {value.__name__}(…)"
        )
    try:
        check_class(kind, type(value))
    except PluginError as fault:
        raise ConformanceError(str(fault)) from fault
    return f"{kind} {value.name!r}"


def require_value(kind: Kind, value: Any) -> str:
    """As `require_instance`, for what a recipe builds: bundles store it as a table of JSON."""
    what = require_instance(kind, value)
    with forbid_errors(f"{what}: must be hashable"):
        hash(value)
    require_rebuilt(what, value)
    return what


def require_rebuilt(what: str, value: Any) -> Any:
    """Refuse a `value` that its own fields, as a table of JSON, do not build; returns the other."""
    with forbid_errors(f"{what}: must be built again from its own fields"):
        again = build(type(value), json.loads(json.dumps(to_table(value))), "")
        if isinstance(value, FileStage):
            again = again.opened(value.content, default_registry())
    require(again == value, f"{what}: must equal what its own fields build, got {show(again)}")
    return again


def require_installed(what: str, cls: Any) -> None:
    """Refuse a class that requires what is not installed."""
    missing = missing_requirements(cls)
    require(
        not missing,
        f"{what}: must be checked where all that it requires is installed, got none of "
        f"{', '.join(missing)}",
    )
