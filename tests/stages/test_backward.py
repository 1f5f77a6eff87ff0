"""The way back from what leaves a chain, found again by brute force."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import PluginError, RecipeError
from edgeprep.interfaces import Stage
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.crop import Crop
from edgeprep.stages.dtype import DType
from edgeprep.stages.flip import Flip
from edgeprep.stages.layout import Layout
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.pad import Pad
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.rotate import Rotate
from edgeprep.stages.tile import Tile
from edgeprep.tensors import ImageSpec

NUMPY = NumpyPrimitives()
HEIGHT, WIDTH = 61, 97
# What fills borders; no pixel of a picture below is so bright.
FILL = 255

EXACT = {
    "nothing": (),
    "flip across": (Flip(axis="horizontal"),),
    "flip down": (Flip(axis="vertical"),),
    "quarter": (Rotate(clockwise=90),),
    "half": (Rotate(clockwise=180),),
    "three quarters": (Rotate(clockwise=270),),
    "crop": (Crop(top=5, left=31, size=(20, 30)),),
    "center-crop": (CenterCrop(size=(30, 90)),),
    "center-crop as torchvision": (CenterCrop(size=(30, 90), rounding="torchvision"),),
    "pad": (Pad(top=3, bottom=1, left=7, value=FILL),),
    "pad to a size": (Pad(size=(80, 100), value=FILL),),
    "form": (DType(), Layout(to="nhwc")),
    "tiles": (Tile(size=(25, 33), overlap=(7, 1)),),
    "all": (
        Crop(top=1, left=2, size=(57, 90)),
        Rotate(clockwise=90),
        Pad(size=(97, 63), value=FILL),
        Flip(axis="horizontal"),
        Tile(size=(37, 31), overlap=(7, 15)),
        Rotate(clockwise=270),
        CenterCrop(size=(22, 18), rounding="torchvision"),
        Flip(axis="vertical"),
    ),
}

RESIZED = {
    "stretch": (Resize(size=(40, 120)),),
    "as OpenCV": (Resize(size=(40, 53), like="opencv"),),
    "area": (Resize(size=(33, 29), method="area"),),
    "bicubic": (Resize(size=(33, 29), method="bicubic"),),
    "short": (Resize(size=32, mode="short"),),
    "letterbox": (Letterbox(size=(64, 64), fill=FILL),),
    "narrow letterbox": (Letterbox(size=(80, 31), fill=FILL),),
    "as detectors": (
        Rotate(clockwise=270),
        Letterbox(size=(128, 96), like="opencv", fill=FILL),
        Flip(axis="horizontal"),
    ),
    "all": (
        Resize(size=70, mode="short"),
        CenterCrop(size=(64, 96)),
        Tile(size=(40, 40), overlap=(16, 12)),
        Rotate(clockwise=90),
        Resize(size=(30, 50)),
    ),
}


def where_from(stages):
    """For each picture of the result `(P, 2)`, where its pixels are said to be from, and are.

    The first channel of the picture says where a pixel is across, the second where it is down.
    """
    down, across = np.indices((HEIGHT, WIDTH))
    picture = np.stack([across, down, np.zeros_like(down)], axis=-1).astype(np.uint8)
    chain = Chain(input=ImageSpec(height=HEIGHT, width=WIDTH), stages=stages)
    found = chain.apply(NUMPY, picture[None])
    maps = chain.backward(HEIGHT, WIDTH)
    assert len(found) == len(maps)
    for result, back in zip(found, maps, strict=True):
        inside = np.abs(result[..., 2]) < 1e-3
        rows, columns = np.nonzero(inside)
        assert len(rows) > 20
        centres = np.stack([columns, rows], axis=-1) + 0.5
        yield back.points(centres), result[inside][:, :2] + 0.5


@pytest.mark.parametrize("stages", EXACT.values(), ids=EXACT)
def test_every_pixel_that_is_moved_whole_is_found_again(stages):
    for mapped, true in where_from(stages):
        assert np.array_equal(mapped, true)


@pytest.mark.parametrize("name", RESIZED)
def test_every_pixel_of_a_resized_picture_is_found_again(name):
    # Two neighbours keep a slope exactly; of a wider kernel, the pixels do not lie the same to both
    # sides. A coordinate that is half a pixel off would differ by a quarter and more.
    tolerance = 0.001 if name.startswith("as ") else 0.15
    for mapped, true in where_from(RESIZED[name]):
        # A kernel that sticks out over the edge of the picture leans inwards.
        far = ((true > 8) & (true < [WIDTH - 8, HEIGHT - 8])).all(axis=-1)
        assert np.count_nonzero(far) > 20
        assert np.abs(mapped - true)[far].max() <= tolerance


@pytest.mark.parametrize("point", [(20, 15), (50, 30), (80, 45)])
@pytest.mark.parametrize("stages", [RESIZED["as detectors"], RESIZED["letterbox"]])
def test_a_mark_is_found_again_where_it_is_seen(stages, point):
    """As a detection: a mark of 7 by 5 pixels, its middle and its box from what is bright."""
    x, y = point
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[y - 2 : y + 3, x - 3 : x + 4] = 200
    chain = Chain(input=ImageSpec(), stages=stages)
    seen = chain.apply(NUMPY, picture[None])[0, ..., 0]
    mark = np.where(seen == FILL, 0, seen)
    rows, columns = np.indices(mark.shape) + 0.5
    centre = [(mark * columns).sum() / mark.sum(), (mark * rows).sum() / mark.sum()]
    (back,) = chain.backward(HEIGHT, WIDTH)
    assert back.points(centre) == pytest.approx([x + 0.5, y + 0.5], abs=0.05)
    rows, columns = np.nonzero(mark > 100)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    # To a pixel of the smaller picture.
    assert back.boxes(box) == pytest.approx([x - 3, y - 2, x + 4, y + 3], abs=1.0)


def test_the_way_there_is_the_inverse():
    chain = Chain(input=ImageSpec(), stages=(Letterbox(size=(640, 640)),))
    (back,) = chain.backward(427, 640)
    corners = back.inverse().points([[0, 0], [640, 427]])
    # 213 rows are over: 106 above, 107 below.
    assert corners == pytest.approx(np.array([[0, 106], [640, 533]]))


def test_stages_that_move_nothing_say_so():
    stages = (Color(to="bgr"), DType(), Layout())
    (back,) = Chain(input=ImageSpec(), stages=stages).backward(4, 5)
    assert back.points([[1.5, 2.5]]).tolist() == [[1.5, 2.5]]


def test_a_size_that_cannot_be_is_refused():
    chain = Chain(input=ImageSpec(), stages=(CenterCrop(size=(8, 8)),))
    with pytest.raises(RecipeError, match="needs") as caught:
        chain.backward(7, 20)
    assert str(caught.value) == (
        "preprocess[0]: center-crop needs pictures of at least [8, 8] pixels, got [7, 20]; "
        "resize first"
    )


@dataclass(frozen=True, kw_only=True)
class Halve(Stage):
    """It changes the size and says nothing."""

    name: ClassVar[str] = "halve"

    def output(self, image: ImageSpec) -> ImageSpec:
        return image.replace(width=image.width // 2)

    def apply(self, F, x, image):
        return F.slice(x, 2, 0, image.width // 2)


def test_a_stage_that_changes_the_size_must_say_how():
    chain = Chain(input=ImageSpec(height=4, width=6), stages=(Halve(),))
    with pytest.raises(PluginError, match="backward") as caught:
        chain.backward(4, 6)
    assert str(caught.value) == (
        "stage 'halve': must say by backward() how pixels move, got none from [4, 6] to [4, 3] "
        "pixels"
    )
