"""An instance of a dataclass to the table that it can be built from."""

from typing import Any

from msgspec import to_builtins

from edgeprep.schema.annotations import fields, rest_of

__all__ = ["to_table"]


def to_table(value: Any) -> dict[str, object]:
    """The fields of `value`, a dataclass, ready for JSON; `build` makes an equal value of them.

    Fields that no table can give are left out: they hold what was made of the others.
    """
    rest = rest_of(type(value))
    table = {
        name: to_builtins(getattr(value, name)) for name in fields(type(value)) if name != rest
    }
    return table if rest is None else {**table, **to_builtins(getattr(value, rest))}
