"""Pieces of real photographs, and the same as taken in too little light: nothing is downloaded.

The photographs are those that come inside scikit-learn and scikit-image, as digits-mobilenet has
them, and what is held out there is held out here: evaluation sees no photograph of training.
A dark picture has its levels bent down by a power, then multiplied by a factor below one, and the
noise of a sensor that had to be turned up.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data import load_module

__all__ = ["calibration", "evaluation", "pictures", "training", "validation"]

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"
photographs: Any = load_module("data", DIGITS, "data")

CALIBRATION_SEED, EVALUATION_SEED, VALIDATION_SEED = 31, 32, 33
TRAINING_SEED = 31000  # of the first epoch; far from the others
GAMMA = (1.5, 3.0)  # the power that levels in 0..1 are raised to
GAIN = (0.4, 0.9)  # the factor
SIGMA = (1.0, 5.0)  # of the noise, in levels
SIDE = 160  # of a piece, in pixels


def calibration() -> Iterator[Sample]:
    """Training pictures that training itself never drew: same photographs, new seed."""
    return pictures("training", seed=CALIBRATION_SEED, count=64)


def validation() -> Iterator[Sample]:
    """Pieces of training photographs, by which the best epoch is chosen."""
    return pictures("training", seed=VALIDATION_SEED, count=64)


def evaluation() -> Iterator[Sample]:
    """Pieces of held-out photographs."""
    return pictures("held-out", seed=EVALUATION_SEED, count=200)


def training(epoch: int = 0, count: int = 512) -> Iterator[Sample]:
    """New training pictures for each epoch."""
    return pictures("training", seed=TRAINING_SEED + epoch, count=count)


def pictures(part: str, *, seed: int, count: int) -> Iterator[Sample]:
    """`count` samples of one part, the same for the same seed.

    Args:
        part: which photographs to take, "training" or "held-out".
        seed: of the generator that chooses pieces and darkens them.
        count: how many samples.

    Yields:
        A dark picture `(160, 160, 3)`, uint8 RGB, and the same in good light.
    """
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield darkened(np.asarray(photographs.crop(part, generator, SIDE, SIDE)), generator)


def darkened(bright: NDArray[np.uint8], generator: np.random.Generator) -> Sample:
    """`bright` as a camera would store it in too little light, and `bright`."""
    levels = (bright / 255.0) ** generator.uniform(*GAMMA) * generator.uniform(*GAIN) * 255.0
    levels += generator.normal(0.0, generator.uniform(*SIGMA), levels.shape)
    return np.clip(levels + 0.5, 0, 255).astype(np.uint8), bright
