"""The zoo's first model: what its card, its weights and its pictures promise."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from edgeprep.data import build_reader, load_factory
from edgeprep.pictures import read_picture
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tasks.classify import Classify
from edgeprep.train import load_network

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "model_zoo" / "digits-mobilenet"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(MODEL / "recipe.toml")


@pytest.fixture(scope="module")
def answer(recipe: Recipe) -> Any:
    """Picture to digit, as the source network gives it."""
    chain = Chain.build(recipe.preprocess, input=recipe.input.image, registry=default_registry())
    host, graph = chain.cut("split")
    model = torch.nn.Sequential(ChainModule(graph), load_network(recipe.model, MODEL)).eval()

    def give(picture: np.ndarray) -> int:
        with torch.inference_mode():
            return int(model(torch.from_numpy(host.prepare(picture))).argmax())

    return give


def drawn(part: str, **keys: Any) -> list[tuple[np.ndarray, int]]:
    return list(load_factory("data:pictures", MODEL, "data")(part, **keys))  # type: ignore[call-overload]


def test_weights_are_float32_and_below_two_megabytes() -> None:
    path = MODEL / "weights.safetensors"
    assert path.stat().st_size < 2_000_000
    with safe_open(path, "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    # I64: the batch counters of the normalizations.
    assert types == {"F32", "I64"}


def test_most_held_out_digits_on_held_out_photographs_are_named_rightly(
    recipe: Recipe, answer: Any
) -> None:
    table = {**(recipe.data.evaluation or {}), "limit": 300}
    samples = build_reader(table, "data.evaluation").open(
        directory=MODEL, where="data.evaluation", task=Classify(labels=tuple(recipe.task["labels"]))
    )
    right = [answer(picture) == label for picture, label in samples]
    assert len(right) == 300
    assert np.mean(right) >= 0.97


def test_sample_pictures_are_named_rightly(answer: Any) -> None:
    paths = sorted((MODEL / "samples").glob("*.png"))
    assert [answer(read_picture(path)) for path in paths] == list(range(10))


def test_evaluation_is_large_and_has_every_class_about_equally_often(recipe: Recipe) -> None:
    samples = load_factory("data:evaluation", MODEL, "data")()
    counts = Counter(label for _, label in samples)  # type: ignore[attr-defined]
    assert sum(counts.values()) >= 1000
    assert sorted(counts) == list(range(10))
    # 1000 of 359 digits, each two or three times; the rarest digit is 26 of these.
    assert min(counts.values()) >= 50


def test_calibration_gives_as_many_pictures_as_the_recipe_asks_for(recipe: Recipe) -> None:
    table = recipe.data.calibration or {}
    samples = build_reader(table, "data.calibration").open(directory=MODEL, where="data")
    assert sum(1 for _ in samples) == table["limit"] == 256


@pytest.mark.parametrize("part", ["training", "held-out"])
def test_pictures_depend_on_the_seed_alone(part: str) -> None:
    first, again, other = (drawn(part, seed=seed, count=5) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])


def test_pictures_have_many_sizes_unless_one_is_given() -> None:
    shapes = {picture.shape for picture, _ in drawn("held-out", seed=5, count=20)}
    assert len(shapes) > 15
    assert all(80 <= side <= 160 for shape in shapes for side in shape[:2])
    ((picture, _),) = drawn("held-out", seed=5, count=1, size=(240, 320))
    assert picture.shape == (240, 320, 3)


def test_no_digit_and_no_photograph_is_in_both_parts() -> None:
    split_digits = load_factory("data:split_digits", MODEL, "data")
    parts: list[Any] = [split_digits(part) for part in ("training", "held-out")]
    training, held_out = ({digit.tobytes() for digit in digits} for digits, _ in parts)
    assert sum(len(labels) for _, labels in parts) == 1797
    assert not training & held_out
    photographs: Any = sys.modules[split_digits.__module__].PHOTOGRAPHS
    assert not set(photographs["training"]) & set(photographs["held-out"])
