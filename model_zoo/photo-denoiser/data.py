"""Pieces of real photographs, and the same with Gaussian noise of 25 levels: nothing is downloaded.

The photographs are those that come inside scikit-learn and scikit-image, as digits-mobilenet has
them, and what is held out there is held out here: evaluation sees no photograph of training.
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

CALIBRATION_SEED, EVALUATION_SEED, VALIDATION_SEED = 21, 22, 23
TRAINING_SEED = 21000  # of the first epoch; far from the others
SIGMA = 25.0  # of the noise, in levels; the middle one of the three that denoisers are compared at
SIDE = 128  # of a piece, in pixels


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
    """New training pictures for each epoch, with their colours exchanged and stretched, too."""
    generator = np.random.default_rng(TRAINING_SEED + epoch)
    for _ in range(count):
        clean = photographs.crop("training", generator, SIDE, SIDE)
        if generator.random() < 0.5:
            clean = photographs.recolored(clean, generator)
        yield noisy(np.asarray(clean), generator)


def pictures(part: str, *, seed: int, count: int) -> Iterator[Sample]:
    """`count` samples of one part, the same for the same seed.

    Args:
        part: which photographs to take, "training" or "held-out".
        seed: of the generator that chooses pieces and makes noise.
        count: how many samples.

    Yields:
        A noisy picture `(128, 128, 3)`, uint8 RGB, and the same without noise.
    """
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield noisy(np.asarray(photographs.crop(part, generator, SIDE, SIDE)), generator)


def noisy(clean: NDArray[np.uint8], generator: np.random.Generator) -> Sample:
    """`clean` with noise, as a camera would store it, and `clean`."""
    levels = clean + generator.normal(0.0, SIGMA, clean.shape)
    return np.clip(levels + 0.5, 0, 255).astype(np.uint8), clean
