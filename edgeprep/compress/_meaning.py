"""What the outputs of a teacher mean, and where that is another thing than those of its student."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from edgeprep.interfaces import Task

__all__ = ["differences"]

# What tasks say of results alone, as people see them, and not of the numbers that come out.
_OF_RESULTS = frozenset(
    {
        *("align", "background", "colors", "each", "labels", "least_score", "most", "overlap"),
        *("suppression", "top", "unit"),
    }
)


def differences(ours: Task, theirs: Task) -> Iterator[tuple[str, Any, Any]]:
    """Where two tasks say different things of outputs: the path, and both values.

    Of tasks of different kinds, what both of them say is compared.
    """
    known = _names(theirs).keys() - _OF_RESULTS
    # In their order, so that the first is the same every time.
    for name in (name for name in _names(ours) if name in known):
        yield from _differ(name, getattr(ours, name), getattr(theirs, name))


def _names(task: Task) -> dict[str, None]:
    return dict.fromkeys(each.name for each in fields(task)) if is_dataclass(task) else {}


def _differ(path: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    if one == other:
        return
    if type(one) is type(other) and is_dataclass(one):
        for each in fields(one):
            values = getattr(one, each.name), getattr(other, each.name)
            yield from _differ(f"{path}.{each.name}", *values)
        return
    yield path, one, other
