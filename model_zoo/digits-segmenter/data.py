"""Real handwritten digits, each on a real photograph, and which pixels are their ink.

Digits and photographs are those of digits-mobilenet, drawn by its data.py, and what is held out
there is held out here; how far they vary was settled there, in three runs that looked at the
held-out accuracy. Masks are exact: a pixel has the class of the digit whose ink hides more
than half of it, and class 0 elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeprep.data import load_module

__all__ = ["calibration", "evaluation", "pictures", "training", "validation"]

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"
digits: Any = load_module("data", DIGITS, "data")

CALIBRATION_SEED, EVALUATION_SEED, VALIDATION_SEED, TRAINING_SEED = 11, 12, 13, 14
SIDES = (96, 160)  # of a picture, in pixels


def calibration() -> Iterator[Sample]:
    """Training pictures that training itself never drew: same digits and photographs, new seed."""
    return pictures("training", seed=CALIBRATION_SEED, count=256)


def validation() -> Iterator[Sample]:
    """Training digits on training photographs, by which the best epoch is chosen."""
    return pictures("training", seed=VALIDATION_SEED, count=256)


def evaluation() -> Iterator[Sample]:
    """Pictures of held-out digits on held-out photographs."""
    return pictures("held-out", seed=EVALUATION_SEED, count=400)


def training() -> Iterator[Sample]:
    """Training digits on training photographs."""
    return pictures("training", seed=TRAINING_SEED, count=4096)


def pictures(
    part: str, *, seed: int, count: int, size: tuple[int, int] | None = None
) -> Iterator[Sample]:
    """`count` samples of one part, the same for the same seed.

    Args:
        part: which digits and photographs to draw from, "training" or "held-out".
        seed: of the generator that chooses, places, turns and colours.
        count: how many samples.
        size: height and width in pixels; drawn between 96 and 160 for each picture when None.

    Yields:
        A picture `(height, width, 3)`, uint8 RGB, and the class of every pixel `(height, width)`,
        uint8: 0 where there is no digit, else the digit and 1.
    """
    generator = np.random.default_rng(seed)
    every, labels = digits.split_digits(part)
    for _ in range(count):
        height, width = size or generator.integers(SIDES[0], SIDES[1] + 1, size=2).tolist()
        background = digits.crop(part, generator, height, width)
        if part == "training":
            other = digits.crop(part, generator, height, width)
            background = digits.varied(background, other, generator)
        index = generator.integers(len(every))
        side = round(min(height, width) * generator.uniform(*digits.DIGIT_SHARE))
        ink = drawn(every[index], side, part, generator)
        yield written_on(background, ink, int(labels[index]), generator)


def drawn(
    digit: NDArray[np.uint8], side: int, part: str, generator: np.random.Generator
) -> NDArray[np.float64]:
    """How much of every pixel of a square the ink of `digit` hides, in 0..1."""
    ink = digits.enlarge(digit, side)
    if part == "training":
        ink = digits.rewritten(ink, generator)
    turn = generator.uniform(-digits.MAX_ANGLE, digits.MAX_ANGLE)
    levels = np.asarray(ink.rotate(turn, Image.Resampling.BICUBIC), np.float64) / 255.0
    return np.clip(levels * digits.EDGE_SLOPE - digits.EDGE_START, 0, 1)


def written_on(
    background: Image.Image,
    ink: NDArray[np.float64],
    label: int,
    generator: np.random.Generator,
) -> Sample:
    """`ink` in a readable colour somewhere on `background`, and its mask."""
    picture = np.array(background)
    mask = np.zeros(picture.shape[:2], np.uint8)
    top, left = (
        int(generator.integers(length - side + 1))
        for length, side in zip(mask.shape, ink.shape, strict=True)
    )
    place = slice(top, top + len(ink)), slice(left, left + len(ink))
    covered = picture[place].astype(np.float64)
    color = digits.readable_color(covered[ink > 0.5], generator)
    picture[place] = covered + (color - covered) * ink[..., np.newaxis] + 0.5
    mask[place][ink > 0.5] = label + 1
    return picture, mask
