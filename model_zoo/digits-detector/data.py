"""Several real handwritten digits, small and large, on one real photograph.

Digits, photographs and what is done to them are those of digits-mobilenet: what is held out there,
digits and photographs, is held out here. How far they vary was settled there, in three runs that
looked at the held-out accuracy.
"""

from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.data import load_module

__all__ = ["calibration", "evaluation", "pictures", "training"]

Part = Literal["training", "held-out"]
Picture = NDArray[np.uint8]
Sample = tuple[Picture, dict[str, list[Any]]]
Box = tuple[int, int, int, int]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"
digits: Any = load_module("data", DIGITS, "data")

CALIBRATION_SEED, EVALUATION_SEED = 1, 2
TRAINING_SEED = 1000  # of the first epoch; far from the others
SIDES = (96, 160)  # of a picture, in pixels
MOST = 5  # digits that are tried to be put on a picture
DIGIT_SHARE = (0.28, 0.75)  # of the shorter side
TRIALS = 10  # places that are tried for each digit
VISIBLE = 0.5  # opacity from which on a pixel is the digit's


def calibration() -> Iterator[Sample]:
    """Training pictures that training itself never drew: same digits and photographs, new seed."""
    return pictures("training", seed=CALIBRATION_SEED, count=256)


def evaluation() -> Iterator[Sample]:
    """Pictures with held-out digits on held-out photographs."""
    return pictures("held-out", seed=EVALUATION_SEED, count=500)


def training(epoch: int = 0, count: int = 2048) -> Iterator[Sample]:
    """New training pictures for each epoch."""
    return pictures("training", seed=TRAINING_SEED + epoch, count=count)


def pictures(part: Part, *, seed: int, count: int) -> Iterator[Sample]:
    """`count` samples of one part, the same for the same seed.

    Args:
        part: which digits and photographs to draw from.
        seed: of the generator that places, turns and colours.
        count: how many samples.

    Yields:
        A picture `(height, width, 3)`, uint8 RGB, and the boxes around the digits on it, in pixels,
        with their classes.
    """
    generator = np.random.default_rng(seed)
    for _ in range(count):
        height, width = generator.integers(SIDES[0], SIDES[1] + 1, size=2).tolist()
        background = digits.crop(part, generator, height, width)
        if part == "training":
            other = digits.crop(part, generator, height, width)
            background = digits.varied(background, other, generator)
        picture = np.array(background)
        boxes, classes = [], []
        for _ in range(generator.integers(1, MOST + 1)):
            drawn = draw(part, generator, min(height, width))
            box = place(picture, drawn[0], boxes, generator)
            if box is not None:
                boxes.append(box)
                classes.append(drawn[1])
        yield picture, {"boxes": boxes, "classes": classes}


def draw(
    part: Part, generator: np.random.Generator, shorter: int
) -> tuple[NDArray[np.float64], int]:
    """How opaque a random digit is, cut to what is visible of it, and which it is."""
    inks, labels = digits.split_digits(part)
    index = generator.integers(len(inks))
    share = np.exp(generator.uniform(*map(log, DIGIT_SHARE)))
    ink = digits.enlarge(inks[index], round(shorter * share))
    if part == "training":
        ink = digits.rewritten(ink, generator)
    opacity = digits.turned(ink, generator)
    rows, columns = (np.flatnonzero((opacity > VISIBLE).any(axis)) for axis in (1, 0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], int(labels[index])


def place(
    picture: Picture,
    opacity: NDArray[np.float64],
    others: list[Box],
    generator: np.random.Generator,
) -> Box | None:
    """Paint a digit where none of the `others` is; None where no such place was found."""
    height, width = opacity.shape
    for _ in range(TRIALS):
        left = int(generator.integers(picture.shape[1] - width + 1))
        top = int(generator.integers(picture.shape[0] - height + 1))
        box = (left, top, left + width, top + height)
        if not any(meet(box, other) for other in others):
            digits.paint(picture, opacity, left, top, generator)
            return box
    return None


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes have a pixel in common."""
    return all(one[axis] < other[axis + 2] and other[axis] < one[axis + 2] for axis in (0, 1))
