"""What was built can be written down again."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeprep.schema import Rest, build, to_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    size: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Step:
    crop: Crop
    mode: Literal["a", "b"] | None = None
    made: Any = field(default=None, init=False, repr=False, compare=False)
    _made: Any = field(default=None, init=False, repr=False, compare=False)
    others: Rest = field(default_factory=dict)


def test_a_table_of_what_was_built_builds_it_again():
    step = build(Step, {"crop": {"size": [3, 4]}, "more": [1.5], "mode": "b"}, "")
    table = {"crop": {"size": [3, 4]}, "mode": "b", "more": [1.5]}
    assert json.loads(json.dumps(to_table(step))) == table
    assert build(Step, to_table(step) | {"crop": {"size": [3, 4]}}, "") == step


def test_what_was_made_of_the_fields_is_left_out():
    step = Step(crop=Crop(size=(1, 2)))
    object.__setattr__(step, "made", object())
    object.__setattr__(step, "_made", object())
    assert to_table(step) == {"crop": {"size": (1, 2)}, "mode": None}
