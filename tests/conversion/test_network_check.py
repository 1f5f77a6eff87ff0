"""Which samples a network is looked into with, and what is said where it cannot be."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgeprep.conversion.network_check import NetworkCheck, check_network
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry

FACTORY = {"factory": "data:pictures"}


@pytest.fixture
def recipe(project: Callable[..., Path]) -> Recipe:
    return load_recipe(project())


def with_data(recipe: Recipe, **data: Mapping[str, object] | None) -> Recipe:
    # int8 would need calibration samples.
    target = replace(recipe.target[0], precision=("fp32",))
    return replace(recipe, target=(target,), data=replace(recipe.data, **data))


@pytest.mark.parametrize(
    ("data", "samples"),
    [
        ({"calibration": FACTORY}, 16),
        ({"calibration": {**FACTORY, "limit": 100}}, 16),
        ({"calibration": {**FACTORY, "limit": 5}}, 5),
        ({"calibration": {"use": "random", "samples": 40, "size": [8, 8]}}, 16),
        ({"calibration": None, "evaluation": {**FACTORY, "limit": 3}}, 3),
        ({"calibration": None, "evaluation": None}, 0),
    ],
    ids=["24 of them", "limited to more", "limited to few", "noise", "evaluation", "none"],
)
def test_a_few_samples_are_enough(
    recipe: Recipe, registry: Registry, data: dict[str, Mapping[str, object]], samples: int
) -> None:
    assert check_network(with_data(recipe, **data), registry=registry) == NetworkCheck(
        samples=samples
    )


def test_a_limit_that_is_no_number_is_said(recipe: Recipe, registry: Registry) -> None:
    wrong = with_data(recipe, calibration={**FACTORY, "limit": "all"})
    found = check_network(wrong, registry=registry)
    assert found.fault.startswith("data.calibration.limit: must be ")
    assert found.to_json()["fault"] == found.fault


def test_data_that_cannot_be_read_are_said(recipe: Recipe, registry: Registry) -> None:
    wrong = with_data(recipe, calibration={"factory": "data:nothing"})
    fault = check_network(wrong, registry=registry).fault
    assert fault.startswith("data.calibration.factory: module 'data' has no function 'nothing'")


def test_it_is_one_step_that_fails_where_the_network_cannot_be_loaded(
    recipe: Recipe, registry: Registry
) -> None:
    told: list[str] = []

    @contextmanager
    def progress(title: str):  # type: ignore[no-untyped-def]
        told.append(title)
        yield told.append
        told.append("ended")

    check_network(recipe, registry=registry, progress=progress)
    assert told == ["look into the network", "0 found on 16 samples", "ended"]
    told.clear()
    missing = replace(recipe, model=replace(recipe.model, weights="none.safetensors"))
    found = check_network(missing, registry=registry, progress=progress)
    assert told == ["look into the network"]
    assert found.fault.startswith("model.weights: must be a file, got ")


@pytest.mark.parametrize(
    ("always", "own", "where"),
    [
        (["hed"], [], "quantize.keep_float[0]"),
        ([], ["head", "hed"], "target[0].keep_float[1]"),
    ],
    ids=["for all", "of a target"],
)
def test_a_layer_to_keep_in_float_that_is_not_there_is_said(
    project: Callable[..., Path],
    registry: Registry,
    always: list[str],
    own: list[str],
    where: str,
) -> None:
    target = f'[[target]]\nformat = "fake"\nprecision = ["int8"]\nkeep_float = {own}'
    recipe = load_recipe(project(target=target, more=f"[quantize]\nkeep_float = {always}"))
    assert check_network(recipe, registry=registry).fault == (
        f"{where}: must match a module of the network, got 'hed'; did you mean 'head'?"
    )
