"""How near pictures are to what they were to become."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import (
    mean_squared_error,
    peak_signal_noise_ratio,
    structural_similarity,
)

from edgeprep.errors import DataError
from edgeprep.metrics.metric import Metric
from edgeprep.metrics.results import Restored
from edgeprep.metrics.same_shape import same_shape
from edgeprep.truths import Picture

__all__ = ["MOST_DECIBELS", "PSNR", "SSIM"]

# What pictures have that are equal, or so nearly that the figure says nothing: one pixel of a
# megapixel that is one level off has 108 dB. An infinite one would make the mean of all infinite.
MOST_DECIBELS = 100.0
# The window of the reference, whose means and variances are compared.
_WINDOW = 7

Levels = NDArray[np.uint8]

# Without annotations in the reference.
_peak_signal_noise_ratio: Any = peak_signal_noise_ratio
_structural_similarity: Any = structural_similarity


def _psnr(picture: Levels, truth: Levels) -> float:
    if not mean_squared_error(truth, picture):
        return MOST_DECIBELS
    decibels = _peak_signal_noise_ratio(truth, picture, data_range=255)
    return min(float(decibels), MOST_DECIBELS)


def _ssim(picture: Levels, truth: Levels) -> float:
    if min(truth.shape[:2]) < _WINDOW:
        rule = f"pictures must have at least {_WINDOW} × {_WINDOW} pixels"
        raise DataError(f"ssim: {rule}, got {truth.shape[:2]}")
    return float(_structural_similarity(truth, picture, channel_axis=2, data_range=255))


def _mean(
    name: str,
    one: Callable[[Levels, Levels], float],
    predictions: Sequence[Restored],
    truths: Sequence[Picture],
) -> float:
    """The mean over the pictures, which are decoded one after the other.

    The peak signal-to-noise ratio (PSNR) is in decibels, of 255 levels, at most 100. The structural
    similarity (SSIM) is at most 1; its windows are even, of 7 × 7 pixels, and a mean is taken over
    the channels.

    Source: skimage.metrics.peak_signal_noise_ratio and structural_similarity, by their defaults.

    Raises:
        DataError: a picture has not the size of its truth, or is too small for the windows.
    """
    pairs: Any = ((p.picture, t.levels) for p, t in zip(predictions, truths, strict=True))
    return float(np.mean([one(picture, truth) for picture, truth in same_shape(name, pairs)]))


def _metric(name: str, one: Callable[[Levels, Levels], float]) -> Metric:
    return Metric(name=name, higher_is_better=True, score=partial(_mean, name, one))


PSNR = _metric("psnr", _psnr)
SSIM = _metric("ssim", _ssim)
