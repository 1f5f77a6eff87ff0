"""A search: its points, what it goes on from, and what it chooses."""

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeprep.conversion import silent
from edgeprep.conversion.points import Combination, Point, front
from edgeprep.conversion.search import search
from edgeprep.errors import BudgetError, ConvertError, RecipeError
from edgeprep.recipe import Recipe, SearchTable, load_recipe
from edgeprep.registry import Registry

WAY = Combination(prune=0.0, placement="split", calibrator="min-max")
COSTLY = 0.28


def point(name: str, drop: float, latency_ms: float, size_bytes: int) -> Point:
    return Point(
        combination=WAY,
        variant=name,
        format="fake",
        precision="int8",
        value=1 - drop,
        drop=drop,
        latency_ms=latency_ms,
        size_bytes=size_bytes,
    )


@pytest.fixture
def recipe(project: Callable[..., Path]) -> Recipe:
    return replace(
        load_recipe(project(more='[budget]\nmetric = "accuracy"\nmax_drop = 0.01')),
        search=SearchTable(calibrator=("min-max", "mse")),
    )


class Told:
    """The titles of the steps; after `stop_at` of them it raises, as Ctrl-C does."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.titles: list[str] = []
        self.stop_at = stop_at

    @contextmanager
    def __call__(self, title: str) -> Any:
        if "calibrator" in title:
            self.titles.append(title)
            if len(self.titles) > self.stop_at:
                raise KeyboardInterrupt
        yield lambda _: None


def test_a_point_that_another_one_beats_in_everything_is_not_on_the_front() -> None:
    best = point("best", 0.0, 2.0, 100)
    small = point("small", 0.1, 3.0, 50)
    quick = point("quick", 0.2, 1.0, 100)
    beaten = point("beaten", 0.1, 3.0, 60)
    failed = Point(combination=WAY, variant="failed", format="fake", precision="int8", fault="no")
    assert front([best, beaten, small, failed, quick]) == (quick, best, small)


def test_equal_points_are_both_on_the_front() -> None:
    one, other = point("one", 0.0, 1.0, 1), point("other", 0.0, 1.0, 1)
    assert set(front([one, other])) == {one, other}


def test_every_combination_is_a_point_and_float_is_measured_once(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    found = search(recipe, registry=registry)
    assert [(one.variant, one.combination.calibrator) for one in found.points] == [
        ("fake-fp32", "min-max"),
        ("fake-int8", "min-max"),
        ("fake-int8", "mse"),
    ]
    assert found.data == "evaluation"
    assert found.left == 0
    assert all(one.latency_ms > 0 and one.value == 1.0 for one in found.points)


def test_the_quickest_point_within_the_budget_is_chosen_and_its_recipe_keeps_what_does(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = COSTLY
    found = search(recipe, registry=registry)
    assert found.chosen.variant == "fake-fp32"
    assert [(one.format, one.precision) for one in found.recipe.target] == [("fake", ("fp32",))]
    assert found.recipe.budget == recipe.budget


def test_a_search_that_was_ended_goes_on_where_it_was(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    with pytest.raises(KeyboardInterrupt):  # noqa: PT011 -- it says nothing
        search(recipe, registry=registry, progress=Told(stop_at=2))
    told = Told()
    found = search(recipe, registry=registry, progress=told)
    assert told.titles == ["fake-int8, not pruned, placement 'split', calibrator 'mse'"]
    again = search(recipe, registry=registry, progress=silent)
    assert again.points == found.points
    assert len(Told().titles) == 0


def test_a_search_that_was_killed_goes_on_where_it_was(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    child = os.fork()
    if not child:
        told = Told()

        @contextmanager
        def killing(title: str) -> Any:
            with told(title) as done:
                if len(told.titles) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield done

        search(recipe, registry=registry, progress=killing)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    told = Told()
    found = search(recipe, registry=registry, progress=told)
    assert len(told.titles) == 2
    assert len(found.points) == 3


def test_a_fresh_search_measures_everything_again(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    search(recipe, registry=registry)
    told = Told()
    search(recipe, registry=registry, fresh=True, progress=told)
    assert len(told.titles) == 3


def test_when_time_is_up_no_combination_is_begun_and_those_left_are_counted(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    search(replace(recipe, search=SearchTable(calibrator=("min-max",))), registry=registry)
    told = Told()
    found = search(recipe, minutes=1e-9, registry=registry, progress=told)
    assert (found.left, told.titles) == (1, [])
    assert len(found.points) == 2


def test_a_search_without_time_for_one_point_says_so(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    with pytest.raises(ConvertError, match=r"^search: must measure a point, got no time for one$"):
        search(recipe, minutes=1e-9, registry=registry)


def test_a_way_that_fails_is_a_point_with_its_fault(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = float("nan")
    found = search(recipe, registry=registry)
    failed = [one for one in found.points if one.value is None]
    assert len(failed) == 2
    assert failed[0].fault.startswith("fake-int8: must agree with the source within 5e-01")
    assert found.front == (found.chosen,)


def test_no_point_within_the_budget_is_told_with_the_nearest(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = COSTLY
    only_int8 = replace(
        recipe,
        search=SearchTable(precision=("int8",), calibrator=("mse",)),
    )
    with pytest.raises(BudgetError) as fault:  # noqa: PT011 -- whole, below
        search(only_int8, registry=registry)
    message = str(fault.value)
    assert message.startswith("budget: accuracy may drop by at most 0.01, got fake-int8 0.")
    assert message.endswith("at best of 1 points (not pruned, placement 'split', calibrator 'mse')")


def test_points_are_scored_on_validation_data_where_there_are_some(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    data = replace(recipe.data, validation={"factory": "data:pictures", "arguments": {"count": 12}})
    found = search(replace(recipe, data=data), registry=registry)
    assert found.data == "validation"
    assert found.recipe.data.evaluation == recipe.data.evaluation


def test_a_search_without_labels_is_refused(recipe: Recipe, registry: Registry) -> None:
    bare = replace(recipe, data=replace(recipe.data, evaluation=None), budget=None)
    message = r"^data\.validation: required key is missing; a search needs labelled samples$"
    with pytest.raises(RecipeError, match=message):
        search(bare, registry=registry)
