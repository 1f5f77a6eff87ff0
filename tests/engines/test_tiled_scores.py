"""Pictures of any size are scored as sessions see them: tile by tile, on every engine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import evaluate, evaluate_source
from edgeprep.conversion.coverage import collect_coverage
from edgeprep.conversion.network_check import check_network
from edgeprep.conversion.sensitivity import analyze
from edgeprep.data import load_factory
from edgeprep.recipe import Recipe, load_recipe

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MODEL = """
import torch


def build():
    # A mean of 5 x 5 pixels, black beyond the picture.
    layer = torch.nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False)
    layer.weight.data[:] = 1 / 25
    return layer
"""

DATA = """
import numpy as np

SIZES = ((40, 30), (24, 24), (17, 50), (61, 24), (24, 24), (9, 7), (30, 31), (70, 25))


def pairs(count=8):
    generator = np.random.default_rng(0)
    for size in SIZES[:count]:
        picture = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        yield picture, picture
"""

RECIPE = """
name = "blur"
[model]
factory = "model:build"
[input]
size = [24, 24]
[task]
use     = "restore"
overlap = 8
[[preprocess]]
use = "scale"
[data]
calibration = { factory = "data:pairs" }
evaluation  = { factory = "data:pairs" }
[[target]]
format    = "onnx"
precision = ["fp32", "int8"]
[[target]]
format    = "openvino"
precision = ["fp32"]
[[target]]
format    = "tflite"
precision = ["fp32"]
[budget]
metric   = "psnr"
max_drop = 0.5
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipe]:
    directory = tmp_path_factory.mktemp("blur")
    for name, text in {"model.py": MODEL, "data.py": DATA, "recipe.toml": RECIPE}.items():
        (directory / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPREP_CACHE", str(directory / "cache"))
        yield load_recipe(directory / "recipe.toml")


@pytest.fixture(scope="module")
def bundle(recipe: Recipe) -> Path:
    path = recipe.directory / "blur.edgeprep"
    # A variant that loses more than the budget is an error.
    edgeprep.convert(recipe.directory / "recipe.toml", path)
    return path


@pytest.fixture(scope="module")
def decibels(recipe: Recipe) -> float:
    """By hand: the whole pictures, reflected beyond their edges where they are cut."""
    return float(np.mean([one_score(picture) for picture in pictures(recipe)]))


def pictures(recipe: Recipe) -> list[NDArray[np.uint8]]:
    return [picture for picture, _ in load_factory("data:pairs", recipe.directory, "data")()]


def one_score(picture: NDArray[np.uint8]) -> float:
    height, width = picture.shape[:2]
    whole = {"constant_values": 0} if (height, width) == (24, 24) else {"mode": "reflect"}
    wide = np.pad(picture.astype(float), ((2, 2), (2, 2), (0, 0)), **whole)  # type: ignore[call-overload]
    places = [(y, x) for y in range(5) for x in range(5)]
    mean = sum(wide[y : y + height, x : x + width] for y, x in places) / 25
    found = np.floor(mean + 0.5).astype(np.uint8)
    return float(peak_signal_noise_ratio(picture, found, data_range=255))


def test_source_and_every_variant_are_scored_on_whole_pictures(
    recipe: Recipe, bundle: Path, decibels: float
) -> None:
    evaluation = evaluate(bundle, recipe, with_source=True)
    assert evaluation.rejected == ()
    assert evaluation.samples == 8
    scores = {str(one.candidate).split()[0]: one.values["psnr"] for one in evaluation.scores}
    assert scores.keys() == {"source", "onnx-fp32", "onnx-int8", "openvino-fp32", "tflite-fp32"}
    # Halves may be rounded otherwise, and int8 has 256 levels in all.
    assert all(abs(score - decibels) < 1e-3 for name, score in scores.items() if "int8" not in name)
    assert abs(scores["onnx-int8"] - decibels) < 0.5
    assert evaluate_source(recipe).scores[0].values == evaluation.scores[0].values


def test_what_the_bundle_says_was_measured_so(bundle: Path, decibels: float) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.source.value == pytest.approx(decibels, abs=1e-3)
    assert manifest.variants[0].metric.value == pytest.approx(decibels, abs=1e-3)
    # What is proved and calibrated goes through the network, tile by tile.
    assert manifest.golden[0].input.shape[1:] == (24, 24, 3)


def test_sensitivity_coverage_and_check_take_pictures_of_any_size(
    recipe: Recipe, decibels: float
) -> None:
    only = replace(recipe, target=(replace(recipe.target[0], precision=("int8",)),))
    report = analyze(only, worst=1)
    assert report.metric == "psnr"
    assert report.source == pytest.approx(decibels, abs=1e-3)
    (ranges,) = {each[0] for each in collect_coverage(only).values()}
    assert ranges.evaluation is not None
    assert (ranges.evaluation.low, ranges.evaluation.high) == pytest.approx((0.0, 1.0))
    found = check_network(recipe)
    assert (found.fault, found.samples) == ("", 16)
