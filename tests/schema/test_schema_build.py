import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.schema import build, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    size: tuple[int, int]
    where: Literal["centre", "corner"] = "centre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Every kind of field that a table can hold."""

    name: ClassVar[str] = "prune"

    ratio: Annotated[float, Meta(ge=0, lt=1)]
    rounds: Annotated[int, Meta(gt=0, le=9)] = 1
    step: Annotated[int, Meta(multiple_of=8)] = 8
    structured: bool = True
    title: Annotated[str, Meta(min_length=1, max_length=5)] = "p"
    code: Annotated[str, Meta(pattern="^[a-z]+$")] = "p"
    method: Literal["bilinear", "area"] | None = None
    groups: int | Literal["auto"] = "auto"
    size: int | tuple[int, int] = 4
    mean: Annotated[tuple[float, ...], Meta(min_length=1, max_length=3)] = (0.0,)
    crop: Crop | None = None
    crops: tuple[Crop, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    any: Any = None
    hidden: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.ratio == 0.5:
            raise ValueError("ratio: must not be 0.5, got 0.5")
        if self.mean == (1.0,):
            raise RecipeError("mean[0]: must not be 1, got 1.0")
        if self.rounds == 9 and self.step == 16:
            raise ValueError("nine rounds of 16 are too many")


# What is written beside a good ratio, and all that is said of it.
FAULTS = {
    "unknown key, a name is near": (
        {"ratoi": 1},
        "compress[1].ratoi: unknown key; did you mean 'ratio'?",
    ),
    "unknown key, wrong case": (
        {"Rounds": 1},
        "compress[1].Rounds: unknown key; did you mean 'rounds'?",
    ),
    "unknown key inside": (
        {"crop": {"size": [1, 2], "xyz": 0}},
        "compress[1].crop.xyz: unknown key; known here: 'size', 'where'",
    ),
    "unknown key that has to be quoted": (
        {"crop": {"size": [1, 2], "a b.c": 0}},
        "compress[1].crop.\"a b.c\": unknown key; known here: 'size', 'where'",
    ),
    "key missing inside": ({"crops": [{}]}, "compress[1].crops[0].size: required key is missing"),
    "below the range": ({"ratio": -1}, "compress[1].ratio: must be at least 0 and below 1, got -1"),
    "above the range": (
        {"ratio": 1.3},
        "compress[1].ratio: must be at least 0 and below 1, got 1.3",
    ),
    "open end": ({"ratio": 1}, "compress[1].ratio: must be at least 0 and below 1, got 1"),
    "open start": ({"rounds": 0}, "compress[1].rounds: must be above 0 and at most 9, got 0"),
    "not a multiple": ({"step": 12}, "compress[1].step: must be a multiple of 8, got 12"),
    "text for a number": ({"ratio": "0.3"}, "compress[1].ratio: must be a number, got '0.3'"),
    "true for a number": ({"ratio": True}, "compress[1].ratio: must be a number, got True"),
    "true for a whole number": (
        {"rounds": True},
        "compress[1].rounds: must be a whole number, got True",
    ),
    "float for a whole number": (
        {"rounds": 2.0},
        "compress[1].rounds: must be a whole number, got 2.0",
    ),
    "number for true": ({"structured": 1}, "compress[1].structured: must be true or false, got 1"),
    "not a number": ({"ratio": math.nan}, "compress[1].ratio: must be a finite number, got nan"),
    "infinity": ({"ratio": -math.inf}, "compress[1].ratio: must be a finite number, got -inf"),
    "too large for a float": (
        {"ratio": 10**400},
        f"compress[1].ratio: must be a finite number, got 1{'0' * 76}...",
    ),
    "too large to print": (
        {"ratio": 10**5000},
        "compress[1].ratio: must be a finite number, got a very large int",
    ),
    "number for text": ({"title": 3}, "compress[1].title: must be a string, got 3"),
    "empty text": ({"title": ""}, "compress[1].title: must have at least 1 character, got ''"),
    "long text": (
        {"title": "abcdef"},
        "compress[1].title: must have at most 5 characters, got 'abcdef'",
    ),
    "pattern": ({"code": "a1"}, "compress[1].code: must match ^[a-z]+$, got 'a1'"),
    "pattern and a line end": (
        {"code": "a\n"},
        "compress[1].code: must match ^[a-z]+$, got 'a\\n'",
    ),
    "choice, a name is near": (
        {"method": "bilinar"},
        (
            "compress[1].method: must be one of 'area', 'bilinear', got 'bilinar'; "
            "did you mean 'bilinear'?"
        ),
    ),
    "choice, nothing is near": (
        {"method": "x"},
        "compress[1].method: must be one of 'area', 'bilinear', got 'x'",
    ),
    "choice of another type": (
        {"method": 3},
        "compress[1].method: must be one of 'area', 'bilinear', got 3",
    ),
    "neither type of a union": (
        {"groups": "atuo"},
        "compress[1].groups: must be a whole number or 'auto', got 'atuo'; did you mean 'auto'?",
    ),
    "null where it is not allowed": (
        {"rounds": None},
        "compress[1].rounds: must be a whole number, got None",
    ),
    "short tuple": ({"size": [1]}, "compress[1].size: must have 2 items, got [1]"),
    "long tuple": ({"size": [1, 2, 3]}, "compress[1].size: must have 2 items, got [1, 2, 3]"),
    "item of a tuple": (
        {"size": [1, 2.5]},
        "compress[1].size[1]: must be a whole number, got 2.5",
    ),
    "empty array": ({"mean": []}, "compress[1].mean: must have at least 1 item, got []"),
    "long array": (
        {"mean": [1, 2, 3, 4]},
        "compress[1].mean: must have at most 3 items, got [1, 2, 3, 4]",
    ),
    "text for an array": ({"mean": "012"}, "compress[1].mean: must be an array, got '012'"),
    "text for a table": ({"crop": "all"}, "compress[1].crop: must be a table, got 'all'"),
    "text in an array of tables": (
        {"crops": ["all"]},
        "compress[1].crops[0]: must be a table, got 'all'; write { size = ... }",
    ),
    "array for a table": ({"weights": []}, "compress[1].weights: must be a table, got []"),
    "value in a table": (
        {"weights": {"a b": "x"}},
        "compress[1].weights.\"a b\": must be a number, got 'x'",
    ),
    "field that is not given": (
        {"hidden": 1},
        (
            "compress[1].hidden: unknown key; known here: 'ratio', 'rounds', 'step', 'structured', "
            "'title', 'code', 'method', 'groups', 'size', 'mean', 'crop', 'crops', 'weights', "
            "'extra', 'any'"
        ),
    ),
    "rule of the class about a field": (
        {"ratio": 0.5},
        "compress[1].ratio: must not be 0.5, got 0.5",
    ),
    "rule of the class about an item": (
        {"mean": [1]},
        "compress[1].mean[0]: must not be 1, got 1.0",
    ),
    "rule of the class about two fields": (
        {"rounds": 9, "step": 16},
        "compress[1]: nine rounds of 16 are too many",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named_with_its_path(fault):
    table, message = FAULTS[fault]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Prune, {"ratio": 0.25} | table, "compress[1]")
    assert str(caught.value) == message


def test_a_missing_key_is_named():
    with pytest.raises(RecipeError, match=r"^compress\[1\]\.ratio: required key is missing$"):
        build(Prune, {}, "compress[1]")


@pytest.mark.parametrize("table", [None, [], "ratio", 3])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Prune, table, "task")
    assert str(caught.value) == (f"task: must be a table, got {table!r}; write {{ ratio = ... }}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "size: required key is missing"),
        ({"size": 3}, "size: must be an array, got 3"),
        ({"siz": 3}, "siz: unknown key; did you mean 'size'?"),
    ],
)
def test_at_the_top_of_a_document_the_path_is_the_key(table, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Crop, table, "")
    assert str(caught.value) == message


def test_tables_become_values_and_arrays_tuples():
    assert build(
        Prune,
        {
            "ratio": 0,
            "rounds": 9,
            "method": "area",
            "groups": 3,
            "size": [3, 4],
            "mean": [1, 2],
            "crop": {"size": [5, 6], "where": "corner"},
            "crops": [{"size": (7, 8)}],
            "weights": {"a": 1},
            "extra": {"b": [1, {"c": None}]},
            "any": [1],
        },
        "compress[0]",
    ) == Prune(
        ratio=0.0,
        rounds=9,
        method="area",
        groups=3,
        size=(3, 4),
        mean=(1.0, 2.0),
        crop=Crop(size=(5, 6), where="corner"),
        crops=(Crop(size=(7, 8)),),
        weights={"a": 1.0},
        extra={"b": [1, {"c": None}]},
        any=[1],
    )


def test_whole_numbers_become_floats_where_floats_are_asked_for():
    ratio = build(Prune, {"ratio": 0}, "").ratio
    assert isinstance(ratio, float)


def test_null_is_the_absence_of_an_optional_value():
    assert build(Prune, {"ratio": 0, "method": None, "crop": None}, "") == Prune(ratio=0.0)


class NoDataclass:
    pass


@dataclass
class Unresolved:
    x: "Missing"  # noqa: F821 -- that is the fault


@dataclass
class Held:
    x: tuple[list[int], ...]


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (NoDataclass, "NoDataclass is not a dataclass"),
        (
            Unresolved,
            "Unresolved has an annotation that does not resolve: name 'Missing' is not defined",
        ),
        (Held, "Held.x: no table can hold its type, got ListType"),
    ],
)
def test_a_class_that_no_table_can_describe_is_refused(cls, message):
    with pytest.raises(TypeError) as caught:  # noqa: PT011 -- the whole message is compared
        fields(cls)
    assert str(caught.value) == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


# Time is no part of what is tested, and other work may share the machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*fields(Prune), "x"]), json_values, max_size=6))
def test_any_table_gives_a_value_or_a_recipe_error(table):
    try:
        value = build(Prune, table, "compress[0]")
    except RecipeError as fault:
        assert str(fault).startswith("compress[0]")  # noqa: PT017 -- both outcomes are allowed
    else:
        assert 0 <= value.ratio < 1
