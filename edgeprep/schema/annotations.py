"""What a dataclass says about the tables that it is built from."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import inspect as types

__all__ = ["Rest", "describe", "fields", "is_null", "rest_of"]

# A field of this type takes the keys of its table that no other field names.
Rest = Annotated[Mapping[str, object], msgspec.Meta(extra={"rest": True})]

_WORDS: dict[type[types.Type], str] = {
    types.AnyType: "anything",
    types.BoolType: "true or false",
    types.DataclassType: "a table",
    types.DictType: "a table",
    types.FloatType: "a number",
    types.IntType: "a whole number",
    types.NoneType: "null",
    types.StrType: "a string",
    types.TupleType: "an array",
    types.VarTupleType: "an array",
}


def fields(cls: type) -> Mapping[str, types.Field]:
    """The fields of the dataclass `cls` that a table can give, with their types, by name.

    Raises:
        TypeError: `cls` is no dataclass, or has a field of a type that no table can hold.
    """
    return _read(cls)


@cache
def _read(cls: type) -> Mapping[str, types.Field]:
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is not a dataclass")
    try:
        info: Any = types.type_info(cls)
    except NameError as fault:
        raise TypeError(
            f"{cls.__name__} has an annotation that does not resolve: {fault}"
        ) from fault
    given = {field.name for field in dataclasses.fields(cls) if field.init}
    known = {field.name: field for field in info.fields if field.name in given}
    for name, field in known.items():
        for node in _parts(field.type):
            if type(node) not in _WORDS and not isinstance(node, types.LiteralType):
                kind = getattr(node, "cls", type(node)).__name__
                raise TypeError(f"{cls.__name__}.{name}: no table can hold its type, got {kind}")
    return known


def rest_of(cls: type) -> str | None:
    """The name of the field of type `Rest`, if there is one."""
    for name, field in fields(cls).items():
        node = field.type
        if isinstance(node, types.Metadata) and (node.extra or {}).get("rest"):
            return name
    return None


def describe(node: types.Type) -> str:
    """What `node` asks for, as the end of "must be"."""
    match node:
        case types.Metadata():
            return describe(node.type)
        case types.LiteralType(values=[choice]):
            return repr(choice)
        case types.LiteralType():
            return f"one of {', '.join(map(repr, node.values))}"
        case types.UnionType():
            return " or ".join(describe(part) for part in node.types if not is_null(part))
        case types.CustomType():
            return "anything"
    return _WORDS[type(node)]


def is_null(node: types.Type) -> bool:
    """Whether `node` is the type of None."""
    return isinstance(node, types.NoneType)


def _parts(node: types.Type) -> list[types.Type]:
    """The types that `node` is made of, those of nested dataclasses left to their own `fields`."""
    match node:
        case types.Metadata():
            return _parts(node.type)
        case types.UnionType():
            inner = node.types
        case types.TupleType():
            inner = node.item_types
        case types.VarTupleType():
            inner = (node.item_type,)
        case types.DictType():
            inner = (node.key_type, node.value_type)
        case types.DataclassType():
            fields(node.cls)
            return [node]
        case types.CustomType() if node.cls is object:
            return []
        case _:
            return [node]
    return [node_part for part in inner for node_part in _parts(part)]
