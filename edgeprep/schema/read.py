"""A table to an instance of a dataclass."""

import math
import operator
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

from msgspec import inspect as types

from edgeprep.errors import RecipeError
from edgeprep.schema.annotations import describe, fields, rest_of
from edgeprep.schema.messages import broken, join, nearest, nearest_or_all

__all__ = ["build"]

T = TypeVar("T")


def build(cls: type[T], table: object, where: str, *, beside: Collection[str] = ()) -> T:
    """An instance of the dataclass `cls` from a `table` as TOML and JSON give it.

    Converted is only what loses nothing: a whole number where a float is asked for, an array to a
    tuple. A key that no field has is an error, at any depth.

    Args:
        cls: a dataclass that `fields` accepts.
        table: what was written.
        where: the path of `table` in its document, such as `compress[1]`; "" for all of it.
        beside: keys that stand there, too, and that others have read: for messages.

    Raises:
        RecipeError: a rule is broken; the message starts with the path of the fault.
    """
    known = fields(cls)
    if not isinstance(table, Mapping):
        needed = ", ".join(f"{name} = ..." for name, field in known.items() if field.required)
        remedy = f"; write {{ {needed} }}" if needed else ""
        raise broken(where, "must be a table", table, remedy)
    rest = rest_of(cls)
    written = {key: value for key, value in table.items() if key in known and key != rest}
    others = {key: value for key, value in table.items() if key not in written}
    if others and rest is None:
        key = str(next(iter(others)))
        raise _unknown(where, key, [*beside, *known])
    for name, field in known.items():
        if field.required and name not in written and name != rest:
            for key in map(str, others):
                if nearest(key, [name]):
                    raise _unknown(where, key, [name])
            raise RecipeError(f"{join(where, name)}: required key is missing")
    values = {
        name: _convert(value, known[name].type, join(where, name))
        for name, value in written.items()
    }
    if rest is not None:
        values[rest] = others
    return _construct(cls, values, where)


def _unknown(where: str, key: str, known: Collection[str]) -> RecipeError:
    return RecipeError(f"{join(where, key)}: unknown key{nearest_or_all(key, known)}")


def _construct(cls: type[T], values: Mapping[str, object], where: str) -> T:
    try:
        return cls(**values)
    except (TypeError, ValueError) as fault:
        # A rule that begins with a field speaks of that field: "std: …" is "preprocess[1].std: …".
        subject = re.match(r"(\w+)[:.\[]", str(fault))
        separator = "." if subject and subject[1] in fields(cls) else ": "
        raise RecipeError(f"{where}{separator}{fault}" if where else str(fault)) from fault


def _convert(value: object, node: types.Type, where: str) -> object:
    match node:
        case types.Metadata():
            return _convert(value, node.type, where)
        case types.UnionType():
            return _convert_union(value, node, where)
        case types.DataclassType():
            return build(node.cls, value, where)
    if not _fits(value, node):
        raise broken(where, f"must be {describe(node)}", value, _nearest_choice(value, [node]))
    match node, value:
        case types.IntType() | types.FloatType(), int() | float():
            return _convert_number(value, node, where)
        case types.StrType(), str():
            return _convert_text(value, node, where)
        case types.TupleType() | types.VarTupleType(), list() | tuple():
            return _convert_items(value, node, where)
        case types.DictType(), Mapping():
            item = node.value_type
            return {key: _convert(value[key], item, join(where, str(key))) for key in value}
    return value


def _fits(value: object, node: types.Type) -> bool:
    """Whether `value` is of the kind that `node` asks for; ranges and items are looked at later."""
    match node:
        case types.Metadata():
            return _fits(value, node.type)
        case types.NoneType():
            return value is None
        case types.BoolType():
            return isinstance(value, bool)
        case types.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case types.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case types.StrType():
            return isinstance(value, str)
        case types.LiteralType():
            return any(type(value) is type(choice) and value == choice for choice in node.values)
        case types.TupleType() | types.VarTupleType():
            return isinstance(value, list | tuple)
        case types.DictType() | types.DataclassType():
            return isinstance(value, Mapping)
    return True


def _convert_union(value: object, node: types.UnionType, where: str) -> object:
    fitting = [choice for choice in node.types if _fits(value, choice)]
    if not fitting:
        remedy = _nearest_choice(value, node.types)
        raise broken(where, f"must be {describe(node)}", value, remedy)
    # Two tuples of different length both fit; the first one's fault is as good as the other's.
    for choice in fitting[1:]:
        try:
            return _convert(value, choice, where)
        except RecipeError:
            continue
    return _convert(value, fitting[0], where)


def _nearest_choice(value: object, nodes: list[types.Type] | tuple[types.Type, ...]) -> str:
    if not isinstance(value, str):
        return ""
    choices = [node.values for node in nodes if isinstance(node, types.LiteralType)]
    return nearest(value, [text for texts in choices for text in texts if isinstance(text, str)])


def _convert_number(value: float, node: types.IntType | types.FloatType, where: str) -> float:
    number = value
    if isinstance(node, types.FloatType):
        number = _finite(value, where)
    rules = [
        (node.ge, "at least", operator.ge),
        (node.gt, "above", operator.gt),
        (node.le, "at most", operator.le),
        (node.lt, "below", operator.lt),
        (node.multiple_of, "a multiple of", _is_multiple),
    ]
    given = [(bound, words, holds) for bound, words, holds in rules if bound is not None]
    if not all(holds(number, bound) for bound, _, holds in given):
        rule = " and ".join(f"{words} {bound}" for bound, words, _ in given)
        raise broken(where, f"must be {rule}", value)
    return number


def _is_multiple(number: float, unit: float) -> bool:
    return number % unit == 0


def _finite(value: float, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise broken(where, "must be a finite number", value)
    return number


def _convert_text(value: str, node: types.StrType, where: str) -> str:
    _check_length(value, node.min_length, node.max_length, "character", where)
    if node.pattern is not None and not re.fullmatch(node.pattern, value):
        raise broken(where, f"must match {node.pattern}", value)
    return value


def _convert_items(
    value: list[object] | tuple[object, ...],
    node: types.TupleType | types.VarTupleType,
    where: str,
) -> tuple[object, ...]:
    if isinstance(node, types.TupleType):
        length = len(node.item_types)
        _check_length(value, length, length, "item", where)
        item_types = node.item_types
    else:
        _check_length(value, node.min_length, node.max_length, "item", where)
        item_types = (node.item_type,) * len(value)
    pairs = zip(value, item_types, strict=True)
    return tuple(_convert(item, type_, f"{where}[{i}]") for i, (item, type_) in enumerate(pairs))


def _check_length(
    value: str | list[object] | tuple[object, ...],
    least: int | None,
    most: int | None,
    unit: str,
    where: str,
) -> None:
    if least is not None and len(value) < least:
        bound, count = "" if least == most else "at least ", least
    elif most is not None and len(value) > most:
        bound, count = "" if least == most else "at most ", most
    else:
        return
    units = unit if count == 1 else f"{unit}s"
    raise broken(where, f"must have {bound}{count} {units}", value)
