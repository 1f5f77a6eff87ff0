from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import jsonschema
import pytest
from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.schema import Rest, build, json_schema


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Something inside.

    Attributes:
        side: in pixels,
            never 0.
        mode: how.

    Source: nowhere.
    """

    side: Annotated[int, Meta(gt=0)]
    mode: Literal["a", "b"] = "a"


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: ClassVar[str] = "outer"

    ratio: Annotated[float, Meta(ge=0, lt=1)]
    size: tuple[int, int] | None = None
    mixed: tuple[int, str] = (0, "")
    means: Annotated[tuple[float, ...], Meta(min_length=1, max_length=3)] = (0.0,)
    title: Annotated[str, Meta(min_length=1, pattern="^[a-z]*$")] = "t"
    count: int | Literal["auto"] = "auto"
    flag: bool = False
    inner: Inner = Inner(side=1)
    inners: tuple[Inner, ...] = ()
    table: Mapping[str, float] = field(default_factory=dict)
    any: Any = None


@dataclass(frozen=True, kw_only=True)
class Open:
    format: str
    options: Rest = field(default_factory=dict)


def test_a_schema_says_what_the_docstring_says():
    assert json_schema(Inner) == {
        "type": "object",
        "properties": {
            "side": {
                "type": "integer",
                "exclusiveMinimum": 0,
                "description": "in pixels, never 0.",
            },
            "mode": {"enum": ["a", "b"], "description": "how.", "default": "a"},
        },
        "required": ["side"],
        "additionalProperties": False,
    }


@dataclass(frozen=True, kw_only=True)
class Heir(Inner):
    """Something that inherits.

    Attributes:
        mode: how exactly.
    """


def test_what_is_inherited_is_described_as_there():
    properties = json_schema(Heir)["properties"]
    described = {name: schema["description"] for name, schema in properties.items()}
    assert described == {"side": "in pixels, never 0.", "mode": "how exactly."}


def test_a_rest_leaves_the_table_open():
    assert json_schema(Open) == {
        "type": "object",
        "properties": {"format": {"type": "string"}},
        "required": ["format"],
        "additionalProperties": True,
    }


def test_a_schema_is_itself_valid():
    jsonschema.Draft7Validator.check_schema(json_schema(Outer))


TABLES = [
    {},
    {"ratio": 0.5},
    {"ratio": 1},
    {"ratio": True},
    {"ratio": "0.5"},
    {"ratio": 0, "size": [1, 2]},
    {"ratio": 0, "size": [1]},
    {"ratio": 0, "size": [1, 2, 3]},
    {"ratio": 0, "size": [1, 2.5]},
    {"ratio": 0, "mixed": [1, "a"]},
    {"ratio": 0, "mixed": ["a", 1]},
    {"ratio": 0, "means": []},
    {"ratio": 0, "means": [1, 2, 3]},
    {"ratio": 0, "means": [1, 2, 3, 4]},
    {"ratio": 0, "title": ""},
    {"ratio": 0, "title": "a1"},
    {"ratio": 0, "title": "a"},
    {"ratio": 0, "count": 3},
    {"ratio": 0, "count": "auto"},
    {"ratio": 0, "count": "atuo"},
    {"ratio": 0, "flag": 1},
    {"ratio": 0, "flag": True},
    {"ratio": 0, "inner": {}},
    {"ratio": 0, "inner": {"side": 0}},
    {"ratio": 0, "inner": {"side": 1, "mode": "c"}},
    {"ratio": 0, "inner": {"side": 1, "mode": "b"}},
    {"ratio": 0, "inner": {"side": 1, "other": "b"}},
    {"ratio": 0, "inners": [{"side": 1}, {"side": 2}]},
    {"ratio": 0, "inners": {"side": 1}},
    {"ratio": 0, "table": {"a": 1}},
    {"ratio": 0, "table": {"a": "1"}},
    {"ratio": 0, "any": [{}]},
    {"ratio": 0, "unknown": 1},
    {"ratio": 0, "name": "outer"},
]


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_the_schema_allows_what_build_allows(table):
    allowed = jsonschema.Draft7Validator(json_schema(Outer)).is_valid(table)
    try:
        build(Outer, table, "")
    except RecipeError:
        assert not allowed
    else:
        assert allowed
