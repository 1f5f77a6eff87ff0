"""Tables of which one class reads some keys, and another the rest."""

from dataclasses import dataclass, field

import pytest

from edgeprep.errors import RecipeError
from edgeprep.schema import Rest, build


@dataclass(frozen=True, kw_only=True)
class Target:
    format: str
    options: Rest = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Options:
    opset: int = 20


def fault_in(cls: type, table: dict[str, object], *beside: str) -> str:
    with pytest.raises(RecipeError, match=r"^target\[0\]\.") as caught:
        build(cls, table, "target[0]", beside=beside)
    return str(caught.value)


def test_a_rest_takes_the_keys_that_no_field_names() -> None:
    target = build(Target, {"format": "onnx", "opset": 20, "options": 3}, "target[0]")
    assert target == Target(format="onnx", options={"opset": 20, "options": 3})


def test_a_required_key_that_is_misspelt_is_not_taken_for_one_of_the_rest() -> None:
    assert fault_in(Target, {"opset": 20, "fromat": "onnx"}) == (
        "target[0].fromat: unknown key; did you mean 'format'?"
    )
    assert fault_in(Target, {"opset": 20}) == "target[0].format: required key is missing"


def test_keys_that_others_have_read_are_meant_too() -> None:
    assert fault_in(Options, {"opste": 3}, "format") == (
        "target[0].opste: unknown key; did you mean 'opset'?"
    )
    assert fault_in(Options, {"formta": 3}, "format") == (
        "target[0].formta: unknown key; did you mean 'format'?"
    )
    assert fault_in(Options, {"xyz": 3}, "format") == (
        "target[0].xyz: unknown key; known here: 'format', 'opset'"
    )
