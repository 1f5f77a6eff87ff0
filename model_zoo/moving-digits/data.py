"""Films of real handwritten digits that move over real photographs, or stand still.

Digits and photographs are those of digits-mobilenet, drawn by its data.py, and what is held out
there is held out here. One frame cannot tell the direction: what leaves a film on one side comes
back on the other, so that in each frame every position is as likely as any other, whatever the
direction; and speed, digit, colours and background do not depend on it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data import load_module

__all__ = ["DIRECTIONS", "calibration", "clips", "evaluation", "training", "validation"]

Clip = NDArray[np.uint8]
Sample = tuple[Clip, int]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"
digits: Any = load_module("data", DIGITS, "data")

CALIBRATION_SEED, EVALUATION_SEED, VALIDATION_SEED = 61, 62, 63
TRAINING_SEED = 61000  # of the first epoch; far from the others
FRAMES = 8
# What is learnt from is longer, and goes another way at first for at most so many frames, so that
# what comes counts for more than what is remembered: cameras do not stop when a digit turns round.
TRAINING_FRAMES, MOST_BEFORE = 14, 8
SIDES = (64, 96)  # of a frame, in pixels
DIGIT_SHARE = (0.4, 0.55)  # of the side
# Of the side, from one frame to the next: 1.2 to 2.9 of the 48 pixels that the network takes.
SPEED = (0.025, 0.06)
MAX_TURN = 20.0  # degrees by which a path leans from its axis
NOISE = (0.0, 4.0)  # standard deviation, in levels, of each pixel in each frame
FLICKER = 0.03  # standard deviation of the brightness of a frame
# By the number of the class: left, right, up, down and still. Degrees; y grows downwards.
DIRECTIONS = (180.0, 0.0, -90.0, 90.0, None)


def calibration() -> Iterator[Sample]:
    """Films that training itself never drew: same digits and photographs, new seed."""
    return clips("training", seed=CALIBRATION_SEED, count=48)


def validation() -> Iterator[Sample]:
    """Training digits over training photographs, by which the best epoch is chosen."""
    return clips("training", seed=VALIDATION_SEED, count=200)


def evaluation() -> Iterator[Sample]:
    """Films of held-out digits over held-out photographs."""
    return clips("held-out", seed=EVALUATION_SEED, count=300)


def training(epoch: int = 0, count: int = 2048) -> Iterator[Sample]:
    """New films for each epoch, of digits that turn."""
    return clips(
        "training",
        seed=TRAINING_SEED + epoch,
        count=count,
        frames=TRAINING_FRAMES,
        most_before=MOST_BEFORE,
    )


def clips(
    part: str, *, seed: int, count: int, frames: int = FRAMES, most_before: int = 0
) -> Iterator[Sample]:
    """`count` films of one part, the same for the same seed.

    Args:
        part: which digits and photographs to draw from, "training" or "held-out".
        seed: of the generator that chooses, moves and colours.
        count: how many films; the classes come in turn.
        frames: how many each has.
        most_before: for at most so many frames a digit goes another way at first.

    Yields:
        A film `(frames, side, side, 3)`, uint8 RGB, and the number of its last direction.
    """
    generator = np.random.default_rng(seed)
    inks, _ = digits.split_digits(part)
    for index in range(count):
        label = index % len(DIRECTIONS)
        digit = inks[generator.integers(len(inks))]
        ways = np.full(frames - 1, label)
        if most_before:
            before = generator.integers(most_before + 1)
            ways[:before] = generator.integers(len(DIRECTIONS))
        yield film(part, digit, ways, generator), label


def film(
    part: str, digit: NDArray[np.uint8], ways: NDArray[np.int64], generator: np.random.Generator
) -> Clip:
    """One film of `digit`, which from each frame to the next moves as `ways` says."""
    side = int(generator.integers(SIDES[0], SIDES[1] + 1))
    background = digits.crop(part, generator, side, side)
    if part == "training":
        background = digits.varied(background, digits.crop(part, generator, side, side), generator)
    picture = np.asarray(background, np.float64)
    ink = digits.enlarge(digit, round(side * generator.uniform(*DIGIT_SHARE)))
    if part == "training":
        ink = digits.rewritten(ink, generator)
    opacity = digits.turned(ink, generator)
    canvas = np.zeros((side, side))
    canvas[: len(opacity), : len(opacity)] = opacity
    start = generator.uniform(0, side, 2)
    speed = side * generator.uniform(*SPEED)
    lean = generator.uniform(-MAX_TURN, MAX_TURN)
    places = [start + step for step in steps(ways, speed, lean)]
    covers = [np.roll(canvas, np.rint(place).astype(int)[::-1], (0, 1)) for place in places]
    # By where it is at first, which is no sign of where it goes.
    color = digits.readable_color(picture[covers[0] > 0.5], generator)
    noise = generator.uniform(*NOISE)
    shown = [
        (picture + (color - picture) * cover[..., np.newaxis]) * generator.normal(1, FLICKER)
        + generator.normal(0, noise, picture.shape)
        for cover in covers
    ]
    return np.clip(np.stack(shown) + 0.5, 0, 255).astype(np.uint8)


def steps(ways: NDArray[np.int64], speed: float, lean: float) -> NDArray[np.float64]:
    """How far from where it was at first the digit is in each frame: `(frames, 2)`, x and y."""
    angles = [DIRECTIONS[way] for way in ways]
    radians = [None if angle is None else np.deg2rad(angle + lean) for angle in angles]
    moved = [(0, 0) if angle is None else (np.cos(angle), np.sin(angle)) for angle in radians]
    return speed * np.cumsum([(0, 0), *moved], axis=0)
