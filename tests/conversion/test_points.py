"""Points of a search: which ones none beats, which one is chosen, what is kept of them."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edgeprep.conversion.points import Combination, Point, Points, choose, front
from edgeprep.conversion.space import Space
from edgeprep.errors import BudgetError
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry

WAY = Combination(prune=0.0, placement="split", calibrator="min-max")


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


def test_a_point_that_the_disk_has_lost_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    kept = Points(path)
    for one in (point("one", 0.0, 1.0, 1), point("other", 0.0, 1.0, 1)):
        kept.add(one)
    path.write_bytes(path.read_bytes().replace(b"{", b"\0", 1))
    assert [one.variant for one in Points(path).known] == ["other"]


def test_no_point_within_the_budget_is_told_with_those_that_none_beats(recipe: Recipe) -> None:
    near = msgspec.structs.replace(point("near", 0.3, 2.0, 100), precision="fp32")
    with pytest.raises(BudgetError) as fault:  # noqa: PT011 -- whole, below
        choose([near, point("quick", 0.4, 1.0, 100), point("beaten", 0.4, 2.0, 100)], recipe.budget)
    assert str(fault.value) == (
        "budget: accuracy may drop by at most 0.01, got near 0.7000, drop 0.3000, 2.000 ms, "
        f"100 bytes at best of 3 points ({WAY}); others that none beats:\n"
        f"  quick 0.6000, drop 0.4000, 1.000 ms, 100 bytes ({WAY})"
    )


def test_a_recipe_is_chosen_by_all_variants_that_it_makes(
    recipe: Recipe, registry: Registry
) -> None:
    budget = recipe.budget
    quick = point("fake-int8-full", 0.3, 1.0, 100)
    sibling = point("fake-int8-reduced", 0.0, 1.0, 100)
    slow = msgspec.structs.replace(point("fake-fp32", 0.0, 9.0, 400), precision="fp32")
    points = [slow, sibling, quick]
    assert choose(points, budget) == slow
    space = Space(recipe=recipe, data="evaluation", registry=registry)
    assert [one.precision for one in space.chosen(slow).target] == [("fp32",)]
    # A point that failed cannot be had either.
    failed = msgspec.structs.replace(quick, value=None, drop=0.0)
    assert choose([slow, sibling, failed], budget) == slow
    assert choose([slow, sibling, failed], None) == slow
    with pytest.raises(BudgetError, match=r"got fake-int8-full 0\.7000, drop 0\.3000"):
        choose([sibling, quick], budget)


def test_the_chosen_recipe_has_a_percentile_where_something_looks_at_it(
    recipe: Recipe, registry: Registry
) -> None:
    quantize = replace(recipe.quantize, calibrator="percentile", percentile=99.0)
    plain = replace(recipe, quantize=quantize, budget=None)
    space = Space(recipe=plain, data="evaluation", registry=registry)
    one = point("fake-int8", 0.0, 1.0, 100)
    for calibrator, percentile in (("percentile", 99.0), ("mse", None)):
        combination = msgspec.structs.replace(one.combination, calibrator=calibrator)
        chosen = space.chosen(msgspec.structs.replace(one, combination=combination))
        assert chosen.quantize.percentile == percentile
