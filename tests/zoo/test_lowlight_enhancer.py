"""The zoo's enhancer: what it is worth beside methods that learn less."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from skimage.metrics import peak_signal_noise_ratio

from edgeprep.data import load_factory
from edgeprep.recipe import load_recipe
from edgeprep.train import load_network

MODEL = Path(__file__).resolve().parents[2] / "model_zoo" / "lowlight-enhancer"

# What compare.py finds best on training photographs: of gamma correction, and of CLAHE.
POWER = 0.4
LIMIT, TILES = 16, 1

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return load_network(load_recipe(MODEL / "recipe.toml").model, MODEL)


def samples(name: str, first: int, **keys: Any) -> list[tuple[Picture, Picture]]:
    drawn: Any = load_factory(f"data:{name}", MODEL, "data")
    return list(islice(drawn(**keys), first))


def brightened(network: torch.nn.Module, picture: Picture) -> Picture:
    with torch.inference_mode():
        given = torch.from_numpy(picture[None].astype(np.float32) / 255).movedim(-1, 1)
        found = network(given)[0].movedim(0, -1).numpy()
    return np.floor(found * 255 + 0.5).astype(np.uint8)


def by_gamma(picture: Picture) -> Picture:
    return np.floor((picture / 255) ** POWER * 255 + 0.5).astype(np.uint8)


def by_clahe(picture: Picture) -> Picture:
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    equalizer = cv2.createCLAHE(clipLimit=LIMIT, tileGridSize=(TILES, TILES))
    lab[..., 0] = equalizer.apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def test_weights_are_float32_and_below_200_kilobytes() -> None:
    path = MODEL / "weights.safetensors"
    assert path.stat().st_size <= 200_000
    with safe_open(path, "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    # I64: the batch counters of the normalizations.
    assert types == {"F32", "I64"}


def test_it_is_worth_more_than_gamma_correction_and_than_clahe(network: torch.nn.Module) -> None:
    held_out = samples("evaluation", 40)

    def decibels(method: Callable[[Picture], Picture]) -> float:
        pairs = [(bright, method(dark)) for dark, bright in held_out]
        return float(np.mean([peak_signal_noise_ratio(*pair, data_range=255) for pair in pairs]))

    others = decibels(by_gamma), decibels(by_clahe)
    assert decibels(lambda picture: brightened(network, picture)) > max(others) + 0.5


def test_what_it_is_compared_with_is_tuned_on_other_pictures() -> None:
    compare: Any = load_factory("compare:compare", MODEL, "compare")
    found = compare(held_out=8)
    assert [*found] == [
        "dark",
        f"gamma correction, power {POWER}",
        f"CLAHE, limit {LIMIT}, {TILES}×{TILES} tiles",
        "lowlight-enhancer",
    ]
    means = [
        np.mean([peak_signal_noise_ratio(bright, method(dark)) for dark, bright in pairs])
        for pairs in [samples("evaluation", 8)]
        for method in (lambda dark: dark, by_gamma, by_clahe)
    ]
    assert [*found.values()][:3] == pytest.approx(means)
    assert found["lowlight-enhancer"] == max(found.values())


def test_dark_pictures_are_dark_and_depend_on_the_seed_and_the_epoch_alone() -> None:
    first, again, second = (samples("training", 3, epoch=epoch) for epoch in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    drawn = [*first, *second, *samples("calibration", 3), *samples("validation", 3)]
    assert len({dark.tobytes() for dark, _ in drawn}) == 12
    assert all(dark.mean() < 0.8 * bright.mean() for dark, bright in drawn)


def test_a_grey_ramp_is_darkened_by_power_and_factor() -> None:
    darken: Any = load_factory("data:darkened", MODEL, "data")
    bright = np.full((64, 64, 3), 128, np.uint8)

    class Chosen:
        """Draws what it is told: the power, the factor, the noise."""

        def __init__(self) -> None:
            self.left = [2.0, 0.5, 3.0]

        def uniform(self, *_: float) -> float:
            return self.left.pop(0)

        def normal(self, mean: float, sigma: float, shape: tuple[int, ...]) -> NDArray[Any]:
            return np.random.default_rng(0).normal(mean, sigma, shape)

    dark, same = darken(bright, Chosen())
    assert same is bright
    # 128/255 squared, halved, in levels.
    assert dark.mean() == pytest.approx((128 / 255) ** 2 * 0.5 * 255, abs=0.1)
    assert dark.std() == pytest.approx(3.0, rel=0.03)
