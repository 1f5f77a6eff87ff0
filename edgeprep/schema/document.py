"""The JSON Schema of the tables that a dataclass is built from."""

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

from msgspec import inspect as types

from edgeprep.schema.annotations import fields, is_null, rest_of

__all__ = ["json_schema"]


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema (draft 7, as editors know it) of the tables that `build` takes for `cls`.

    It allows what `build` allows, but for the rules in `__post_init__`. The descriptions are those
    under `Attributes:` in the docstrings of `cls` and of what it inherits from.
    """
    rest = rest_of(cls)
    known = {name: field for name, field in fields(cls).items() if name != rest}
    properties = {name: _schema(field.type) for name, field in known.items()}
    described = _descriptions(cls)
    for name, field in known.items():
        if name in described:
            properties[name]["description"] = described[name]
        if isinstance(field.default, bool | int | float | str):
            properties[name]["default"] = field.default
        elif isinstance(field.default, tuple):
            properties[name]["default"] = list(field.default)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, field in known.items() if field.required],
        "additionalProperties": rest is not None,
    }


def _descriptions(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        _, _, section = cleandoc(base.__doc__ or "").partition("\nAttributes:\n")
        section = section.split("\n\n", maxsplit=1)[0]
        entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
        found |= {name: " ".join(text.split()) for name, text in entries}
    return found


def _schema(node: types.Type) -> dict[str, Any]:
    match node:
        case types.Metadata():
            return _schema(node.type) | dict(node.extra_json_schema or {})
        case types.UnionType():
            choices = [_schema(part) for part in node.types if not is_null(part)]
            return choices[0] if len(choices) == 1 else {"anyOf": choices}
        case types.DataclassType():
            return json_schema(node.cls)
        case types.LiteralType():
            return {"enum": list(node.values)}
        case types.TupleType():
            items = [_schema(item) for item in node.item_types]
            count = len(items)
            return {"type": "array", "items": items, "minItems": count, "maxItems": count}
        case types.VarTupleType():
            limits = {"minItems": node.min_length, "maxItems": node.max_length}
            return {"type": "array", "items": _schema(node.item_type)} | _given(limits)
        case types.DictType():
            return {"type": "object", "additionalProperties": _schema(node.value_type)}
        case types.BoolType():
            return {"type": "boolean"}
        case types.StrType():
            limits = {"minLength": node.min_length, "maxLength": node.max_length}
            return {"type": "string"} | _given({**limits, "pattern": node.pattern})
        case types.IntType():
            return {"type": "integer"} | _range(node)
        case types.FloatType():
            return {"type": "number"} | _range(node)
    return {}


def _range(node: types.IntType | types.FloatType) -> dict[str, Any]:
    return _given(
        {
            "minimum": node.ge,
            "exclusiveMinimum": node.gt,
            "maximum": node.le,
            "exclusiveMaximum": node.lt,
            "multipleOf": node.multiple_of,
        }
    )


def _given(limits: Mapping[str, object]) -> dict[str, Any]:
    return {name: limit for name, limit in limits.items() if limit is not None}
