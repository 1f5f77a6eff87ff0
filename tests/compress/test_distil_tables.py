"""What a recipe may say of a distillation."""

from typing import Any

import pytest

from edgeprep import schema
from edgeprep.compress.distil import Distil, Hint, TeacherFactory
from edgeprep.errors import RecipeError


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "compress[0].teacher: required key is missing"),
        ({"teacher": 3}, "compress[0].teacher: must be a string or a table, got 3"),
        (
            {"teacher": {"factory": "model:build", "wieghts": "a"}},
            "compress[0].teacher.wieghts: unknown key; did you mean 'weights'?",
        ),
        (
            {"teacher": "wise", "temperature": 0.5},
            "compress[0].temperature: must be at least 1, got 0.5",
        ),
        (
            {"teacher": "wise", "weight": 1.5},
            "compress[0].weight: must be at least 0 and at most 1, got 1.5",
        ),
        (
            {"teacher": "wise", "weight": 0},
            "compress[0].weight: must be above 0 where there are no hints, got 0.0",
        ),
        (
            {"teacher": "wise", "hints": [{"student": "a"}]},
            "compress[0].hints[0].teacher: required key is missing",
        ),
        (
            {"teacher": "wise", "hints": ["x"]},
            (
                "compress[0].hints[0]: must be a table, got 'x'; "
                "write { student = ..., teacher = ... }"
            ),
        ),
        (
            {"teacher": "wise", "width": 0},
            "compress[0].width: must be above 0 and at most 1, got 0",
        ),
        (
            {"teacher": "wise", "depth": 1.5},
            "compress[0].depth: must be above 0 and at most 1, got 1.5",
        ),
        (
            {"teacher": "wise", "start": "zero"},
            "compress[0].start: must be one of 'scratch', 'weights', got 'zero'",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value) or "nothing",
)
def test_a_table_that_breaks_a_rule_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is held below
        schema.build(Distil, table, "compress[0]")
    assert str(caught.value) == message


def test_a_table_may_say_all_of_it() -> None:
    table = {
        "teacher": {"factory": "m:f", "arguments": {"width": 2}, "labels": ["a"]},
        "temperature": 2,
        "hints": [{"student": "a", "teacher": "b", "weight": 0.5}],
    }
    assert schema.build(Distil, table, "compress[0]") == Distil(
        teacher=TeacherFactory(factory="m:f", arguments={"width": 2}, labels=("a",)),
        temperature=2.0,
        hints=(Hint(student="a", teacher="b", weight=0.5),),
    )
