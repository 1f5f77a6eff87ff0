"""Scores of pictures: what scikit-image says, and values by hand."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from edgeprep.errors import DataError
from edgeprep.metrics import metric_for, table_of
from edgeprep.tasks.restore import Restore
from edgeprep.truths import Picture


def result(levels: Any) -> SimpleNamespace:
    return SimpleNamespace(picture=np.asarray(levels, np.uint8))


def score(name: str, results: Any, truths: Any) -> float:
    truths = [Picture(np.asarray(each, np.uint8)) for each in truths]
    return metric_for(Restore(), name).score([result(each) for each in results], truths)


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_are_the_means_of_those_of_scikit_image(channels: int) -> None:
    generator = np.random.default_rng(channels)
    truths = [
        generator.integers(0, 256, (height, width, channels), np.uint8)
        for height, width in [(7, 7), (20, 33), (64, 9)]
    ]
    results = [
        np.clip(truth + generator.normal(0, sigma, truth.shape), 0, 255).astype(np.uint8)
        for truth, sigma in zip(truths, (3, 20, 60), strict=True)
    ]
    pairs = list(zip(truths, results, strict=True))
    decibels = [peak_signal_noise_ratio(*pair) for pair in pairs]
    alike = [structural_similarity(*pair, channel_axis=-1) for pair in pairs]
    assert score("psnr", results, truths) == pytest.approx(np.mean(decibels), abs=1e-9)
    assert score("ssim", results, truths) == pytest.approx(np.mean(alike), abs=1e-9)


def test_one_level_off_everywhere_is_48_decibels() -> None:
    truth = np.full((8, 8, 3), 100)
    assert score("psnr", [truth + 1], [truth]) == pytest.approx(20 * math.log10(255))


def test_equal_pictures_have_100_decibels_and_nearly_equal_ones_no_more() -> None:
    truth = np.full((1000, 1000, 1), 100)
    nearly = truth.copy()
    nearly[0, 0] += 1
    assert score("psnr", [truth], [truth]) == 100.0
    assert score("psnr", [nearly], [truth]) == 100.0
    assert score("psnr", [truth[:8, :8], truth[:8, :8] + 1], [truth[:8, :8]] * 2) == pytest.approx(
        50 + 10 * math.log10(255)
    )
    assert score("ssim", [truth[:8, :8]], [truth[:8, :8]]) == 1.0


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match=r"^psnr") as caught:
        score("psnr", [np.zeros((8, 8, 1))], [np.zeros((8, 8, 3))])
    assert str(caught.value) == (
        "psnr: the truth of sample 0 must have the shape (8, 8, 1) of its result, got (8, 8, 3)"
    )


def test_a_picture_that_is_smaller_than_the_windows_is_refused() -> None:
    with pytest.raises(DataError, match=r"^ssim") as caught:
        score("ssim", [np.zeros((6, 20, 3))], [np.zeros((6, 20, 3))])
    assert str(caught.value) == "ssim: pictures must have at least 7 × 7 pixels, got (6, 20)"


def test_pictures_have_no_table_of_classes() -> None:
    assert table_of(Restore()) is None
