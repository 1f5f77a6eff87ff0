"""What a recipe may say of pruning."""

import json

import pytest

from edgeprep.compress.prune import Prune
from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.schema import build


def test_recipes_find_it_by_its_name():
    assert Registry(installed=False).get("pass", "prune") is Prune


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {},
            (
                "compress[0]: must have exactly one of 'ratio', 'speedup' and 'max_parameters', "
                "got none"
            ),
        ),
        (
            {"ratio": 0.5, "speedup": 2.0},
            (
                "compress[0]: must have exactly one of 'ratio', 'speedup' and 'max_parameters', "
                "got 'ratio' and 'speedup'"
            ),
        ),
        (
            {"ratio": 0.5, "steps": 2},
            (
                "compress[0].steps: must be 1 where there is no fine-tuning in between, got 2; "
                "set epochs"
            ),
        ),
        ({"ratio": 1.0}, "compress[0].ratio: must be above 0 and below 1, got 1.0"),
        ({"ratio": 0}, "compress[0].ratio: must be above 0 and below 1, got 0"),
        ({"speedup": 1.0}, "compress[0].speedup: must be above 1, got 1.0"),
        (
            {"ratio": 0.5, "importance": "l3"},
            "compress[0].importance: must be one of 'bn-scale', 'l1', 'l2', 'taylor', got 'l3'",
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_table_that_breaks_a_rule_is_refused(table, message):
    with pytest.raises(RecipeError, match="must") as caught:
        build(Prune, table, "compress[0]")
    assert str(caught.value) == message
