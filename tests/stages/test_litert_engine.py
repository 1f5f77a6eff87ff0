"""LiteRT runs what its converter makes of the torch module; conversions take seconds, so few."""

import litert_torch
import numpy as np
import pytest
import torch

from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.pad import Pad
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

# torch.export warns about itself, by way of copyreg, and about what its copies lose.
pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning")


def litert(chain, picture):
    batch = picture[None]
    return litert_torch.convert(ChainModule(chain).eval(), (torch.from_numpy(batch),))(batch)


def test_litert_resizes_as_the_formula(options, family, slow_resize, noise):
    picture = noise(97, 61)
    image = ImageSpec(height=97, width=61)
    chain = Chain(input=image, stages=(Resize(size=(32, 29), **options),))
    tolerance = 0.1 if family == "bilinear" else 0.01
    expected = slow_resize(picture, 32, 29)[None]
    assert np.abs(litert(chain, picture) - expected).max() <= tolerance


def test_litert_agrees_with_numpy_on_a_chain_with_every_primitive(noise):
    picture = noise(97, 61)
    stages = (
        Color(to="bgr"),
        Resize(size=(40, 33), mode="letterbox"),
        CenterCrop(size=(37, 30)),
        Pad(size=(40, 40), value=9),
        Color(to="grey"),
        Color(to="rgb"),
        Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        Layout(),
    )
    chain = Chain(input=ImageSpec(height=97, width=61), stages=stages)
    expected = chain.apply(NumpyPrimitives(), picture[None])
    assert np.abs(litert(chain, picture) - expected).max() <= 1e-5
