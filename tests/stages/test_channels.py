"""Channels apart and together again, and pictures whose channels lie one after the other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.formulas.channels import join_channels, split_channels
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec


@dataclass(frozen=True, kw_only=True)
class Turned(Stage):
    """Each channel from the one after it."""

    name: ClassVar[str] = "turned"

    def output(self, image):
        return image.replace(dtype="float32")

    def apply(self, F, x, image):
        first, *others = split_channels(F, F.cast(x, "float32"))
        assert F.shape(first) == (*F.shape(x)[:3], 1)
        return join_channels(F, (*others, first))


@pytest.mark.parametrize(("color", "channels"), [("grey", 1), ("rgb", 3), ("rgba", 4)])
def test_channels_come_apart_and_together(engine, noise, color, channels):
    picture = np.concatenate([noise(13, 17)] * 2, axis=-1)[..., :channels]
    image = ImageSpec(height=13, width=17, color=color)
    result = engine(Chain(input=image, stages=(Turned(),)), picture.copy())[0]
    assert np.array_equal(result, np.roll(picture, -1, axis=-1))


@pytest.mark.parametrize("options", [{}, {"antialias": False}, {"method": "area"}], ids=str)
def test_channels_one_after_the_other_are_resized_alike(noise, options):
    picture = noise(31, 47)
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1)).transpose(1, 2, 0)
    chain = Chain(input=ImageSpec(), stages=(Resize(size=(19, 61), **options),))
    expected, result = (chain.apply(NumpyPrimitives(), each[None]) for each in (picture, planes))
    assert np.array_equal(result, expected)
