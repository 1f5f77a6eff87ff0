"""What `Augment` refuses, and in which words."""

import numpy as np
import pytest

from edgeprep.errors import DTypeError, RecipeError, ShapeError
from edgeprep.stages.frames import Frames
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.random.turn import RandomTurn
from edgeprep.train import Augment

STAGES = (RandomFlip(), RandomCrop(size=(12, 11), padding=3))
PICTURE = np.zeros((16, 15, 3), np.uint8)
WHOLE = "must be a whole number from 0, got"


@pytest.mark.parametrize("number", [-1, 1.0, True, "1", None])
def test_numbers_that_are_none_are_refused(number):
    augment = Augment([], seed=0)
    attempts = {
        "seed": lambda: Augment([], seed=number),
        "epoch": lambda: augment.set_epoch(number),
        "index": lambda: augment(PICTURE, number),
    }
    for name, attempt in attempts.items():
        if (name, number) == ("index", None):
            continue
        with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
            attempt()
        assert str(caught.value) == f"{name}: {WHOLE} {number!r}"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            PICTURE / 255,
            DTypeError,
            (
                "picture: must have dtype uint8, values 0 to 255, got 'float64'; "
                "scaling and normalization are part of the preprocessing"
            ),
        ),
        (
            PICTURE[..., 0],
            ShapeError,
            (
                "picture: must have shape (height, width, 3), got (16, 15); "
                "a picture of one channel has a last axis of length 1"
            ),
        ),
        (PICTURE[:0], ShapeError, "picture: must have shape (height, width, 3), got (0, 15, 3)"),
        (
            PICTURE[..., :1],
            ShapeError,
            "picture: must have shape (height, width, 3), got (16, 15, 1)",
        ),
        (
            PICTURE[:4],
            ShapeError,
            (
                "picture: random-crop needs pictures of at least [6, 5] pixels, got [4, 15]; "
                "resize first, or raise padding"
            ),
        ),
    ],
)
def test_pictures_that_cannot_be_varied_are_refused(given, error, message):
    with pytest.raises(error) as caught:
        Augment(STAGES, seed=0)(given, 0)
    assert str(caught.value) == message


def test_a_picture_that_is_no_square_cannot_be_turned():
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        Augment([RandomTurn(probability=0)], seed=0)(PICTURE, 0)
    assert str(caught.value) == (
        "picture: random-turn needs square pictures, got [16, 15]; "
        "crop or resize to a square first, or set clockwise = [180]"
    )


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [RandomFlip(), Normalize(mean=(0.5,) * 3, std=(0.5,) * 3)],
            (
                "augment[1]: normalize must leave pictures of range '0..255', as they arrive, "
                "got 'normalized'; put it under [[preprocess]]"
            ),
        ),
        (
            [Frames(every=2)],
            (
                "augment[0]: frames must not be among stages for training, whose pictures come "
                "in any order, got one that remembers earlier pictures"
            ),
        ),
        (
            [RandomCrop(size=(8, 8)), RandomFlip(), RandomCrop(size=(9, 8))],
            (
                "augment[2]: random-crop needs pictures of at least [9, 8] pixels, got [8, 8]; "
                "resize first, or raise padding"
            ),
        ),
    ],
)
def test_stages_that_do_not_fit_are_refused(stages, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        Augment(stages, seed=0)
    assert str(caught.value) == message
