"""What the points of a search depend on, and what they do not."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from edgeprep.conversion.points_key import points_key
from edgeprep.conversion.space import Space
from edgeprep.recipe import Recipe, SearchTable
from edgeprep.registry import Registry


def key(recipe: Recipe, registry: Registry) -> str:
    space = Space(recipe=recipe, data="evaluation", registry=registry)
    plans = [space.plan(group) for group in space.groups()]
    return points_key(space, plans)


Change = Callable[[Recipe], Recipe]
DEPENDED_ON: Mapping[str, Change] = {
    "percentile": lambda one: replace(one, quantize=replace(one.quantize, percentile=99.0)),
    "weight_range": lambda one: replace(one, quantize=replace(one.quantize, weight_range="full")),
    "keep_float": lambda one: replace(one, quantize=replace(one.quantize, keep_float=("head",))),
    "augment": lambda one: replace(one, augment=({"use": "random-flip"},)),
    "fps": lambda one: replace(one, data=replace(one.data, fps=5.0)),
    "memory": lambda one: replace(one, budget=replace(one.budget, max_memory_mb=1.0)),  # type: ignore[type-var]
}
INDEPENDENT: Mapping[str, Change] = {
    # What is allowed decides which point is chosen, and what is searched which ones there are.
    "max_drop": lambda one: replace(one, budget=replace(one.budget, max_drop=0.5, repair=())),  # type: ignore[type-var]
    "search": lambda one: replace(one, search=SearchTable(prune=(0.25, 0.0), minutes=1.0)),
    "calibrator": lambda one: replace(one, quantize=replace(one.quantize, calibrator="mse")),
}


@pytest.mark.parametrize("change", DEPENDED_ON.values(), ids=DEPENDED_ON)
def test_points_are_measured_anew_when_something_that_they_depend_on_is_changed(
    recipe: Recipe, registry: Registry, change: Change
) -> None:
    assert key(change(recipe), registry) != key(recipe, registry)


@pytest.mark.parametrize("change", INDEPENDENT.values(), ids=INDEPENDENT)
def test_points_are_kept_when_something_else_is_changed(
    recipe: Recipe, registry: Registry, change: Change
) -> None:
    assert key(change(recipe), registry) == key(recipe, registry)


@pytest.mark.parametrize("change", ["engine", "quantizer", "processor"])
def test_points_are_measured_anew_on_another_machine_and_with_other_libraries(
    recipe: Recipe, registry: Registry, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    before = key(recipe, registry)
    if change == "engine":
        monkeypatch.setattr(registry.get("backend", "fakes"), "versions", lambda _: {"fakes": "2"})
    elif change == "quantizer":
        monkeypatch.setattr(registry.get("exporter", "fake"), "requires", ("numpy",))
    else:
        monkeypatch.setattr(
            "edgeprep.conversion.digests.describe_machine",
            lambda: {"processor": "another", "machine": "m", "cpus": "1"},
        )
    assert key(recipe, registry) != before
