"""A rectangle at a known place."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.crop import Crop
from edgeprep.stages.dtype import DType
from edgeprep.tensors import ImageSpec

INSIDE = Crop(top=2, left=3, size=(5, 4))


def test_an_engine_cuts_out_whole_pixels(engine, noise):
    picture = noise(9, 11)
    chain = Chain(input=ImageSpec(height=9, width=11), stages=(INSIDE, DType()))
    assert np.array_equal(engine(chain, picture)[0], picture[2:7, 3:7])


def test_litert_cuts_out_whole_pixels(litert, noise):
    picture = noise(9, 11)
    chain = Chain(input=ImageSpec(height=9, width=11), stages=(INSIDE, DType()))
    assert np.array_equal(litert(chain, picture)[0], picture[2:7, 3:7])


def test_pictures_stay_uint8_and_of_any_size(noise):
    chain = Chain(input=ImageSpec(), stages=(INSIDE,))
    assert chain.output == ImageSpec(height=5, width=4)
    for size in ((7, 7), (100, 7), (7, 100)):
        picture = noise(*size)
        assert np.array_equal(chain.prepare(picture)[0], picture[2:7, 3:7])


def test_the_whole_picture_may_be_kept(noise):
    picture = noise(1, 1)
    chain = Chain(input=ImageSpec(), stages=(Crop(size=(1, 1)),))
    assert np.shares_memory(chain.prepare(picture), picture)


@pytest.mark.parametrize(("height", "width"), [(6, 11), (9, 6)])
def test_what_lies_outside_is_refused(noise, height, width):
    with pytest.raises(RecipeError, match="needs") as caught:
        INSIDE.output(ImageSpec(height=height, width=width))
    assert str(caught.value) == (
        f"needs pictures of at least [7, 7] pixels, got [{height}, {width}]; "
        "make top, left or size smaller"
    )
    chain = Chain(input=ImageSpec(), stages=(INSIDE,))
    with pytest.raises(ShapeError, match="picture") as raised:
        chain.prepare(noise(height, width))
    assert str(raised.value) == (
        f"picture: must have at least (7, 7) pixels (height, width) to be cropped, "
        f"got ({height}, {width})"
    )
