"""What a varied picture is to become, and where its objects are, is found in the picture."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import default_registry
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec
from edgeprep.train.augment import Augment
from edgeprep.train.recipe import build_augment
from edgeprep.train.variation import Variation
from edgeprep.truths import Boxes, Picture

SIZE = 64
NOISE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def varied(picture, stage, index):
    """The picture as the network sees it this time, and where it looks."""
    image = ImageSpec(height=SIZE, width=SIZE)
    registry = default_registry()
    chain = Chain.build([{"use": "scale", "to": "0..1"}], input=image, registry=registry)
    augment = Augment(build_augment([stage], chain=chain, registry=registry), seed=0, input=image)
    host, _ = Chain(input=augment.output, stages=chain.stages).cut("split")
    vary = Variation(augment=augment, host=host, where="data", frames=Frames(chain))
    row, frame = vary(picture, index)
    return row[0], frame


MOVES = {
    "flip": {"use": "random-flip"},
    "turn": {"use": "random-turn"},
    "crop": {"use": "random-crop", "size": [SIZE, SIZE], "padding": 4},
}


@pytest.mark.parametrize("stage", MOVES.values(), ids=MOVES)
def test_pictures_to_become_move_along_pixel_by_pixel(stage):
    seen = []
    for index in range(8):
        row, frame = varied(NOISE, stage, index)
        wanted = Picture(NOISE).seen(frame)
        known = np.isfinite(wanted)
        assert (row[known] == wanted[known]).all()
        # All that is filled up is beyond the picture.
        assert known.mean() > 0.8
        seen.append(row.tobytes())
    assert len(set(seen)) > 1


@pytest.mark.parametrize(
    "stage",
    [
        {"use": "random-rotate", "degrees": 20.0},
        {"use": "random-resized-crop", "size": [SIZE, SIZE]},
    ],
    ids=["rotate", "resized crop"],
)
def test_pictures_to_become_are_not_resampled(stage):
    _, frame = varied(NOISE, stage, 1)
    message = "^preprocess, augment: must leave pixels as large as they are, where a picture is "
    with pytest.raises(RecipeError, match=message):
        Picture(NOISE).seen(frame)


def test_boxes_are_around_what_is_turned():
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[24:40, 16:48] = 255
    turned = []
    for index in range(8):
        row, frame = varied(picture, {"use": "random-rotate", "degrees": 45.0}, index)
        ((_, *box),) = Boxes.of([[16, 24, 48, 40]], [0]).seen(frame).tolist()
        down, across = np.nonzero(row[..., 0] > 127)
        painted = [across.min(), down.min(), across.max() + 1, down.max() + 1]
        # Corners are sharper than pixels are.
        np.testing.assert_allclose(box, painted, atol=1.5)
        turned.append(box[3] - box[1])
    # The height is 16 as it stands, and 34 at 45°.
    assert max(turned) > 28
