"""A small U-Net for 64×64 colour pictures, on the first layers of digits-mobilenet.

What that network has learned of digits is kept as it is; what brings it back to pixels is learned.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from edgeprep.data import load_factory

__all__ = ["DigitsSegmenter", "build"]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"

# How many of its layers there are, and its channels at 1/2, 1/4 and 1/8 of the picture.
LAYERS = 6
WIDTH = 1.5
ARRIVING = (48, 96, 192)
# The channels that are left of them, after U-Net (arXiv:1505.04597, figure 1), far narrower; what
# comes back up is added to what went down, not laid beside it, as in LinkNet (arXiv:1707.03718):
# the convolutions after it see half the channels. To the coarsest map its mean is added, which sees
# all the picture, and what it says of classes is added to what is said of pixels, as in FCN
# (arXiv:1411.4038).
CHANNELS = (16, 24, 32)
DEEPEST = 40


class DigitsSegmenter(nn.Module):
    """Pictures `(N, 3, 64, 64)`, float32 and normalized, to logits `(N, classes, 64, 64)`.

    Args:
        classes: how many there are, with the background.
        features: the layers that halve the picture three times, at 0, 2 and 4.
    """

    def __init__(self, *, classes: int, features: nn.Sequential) -> None:
        super().__init__()
        fine, middle, coarse = CHANNELS
        self.features = features
        self.sides = nn.ModuleList(
            convolution(arriving, leaving, kernel=1)
            for arriving, leaving in zip(ARRIVING, CHANNELS, strict=True)
        )
        self.deepest = convolution(coarse, DEEPEST, stride=2)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(DEEPEST, DEEPEST, 1))
        self.guess = nn.Conv2d(DEEPEST, classes, 1)
        self.narrow = nn.ModuleList(
            (
                nn.Conv2d(DEEPEST, coarse, 1),
                nn.Conv2d(coarse, middle, 1),
                nn.Conv2d(middle, fine, 1),
            )
        )
        self.joined = nn.ModuleList(convolution(each, each) for each in (coarse, middle, fine))
        self.head = nn.ConvTranspose2d(fine, classes, 2, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of `pictures`."""
        sides, maps = [], pictures
        for index, side in enumerate(self.sides):
            maps = self.features[2 * index : 2 * index + 2](maps)
            sides.append(side(maps))
        found = self.deepest(sides[-1])
        found = torch.add(found, self.whole(found))
        guess = functional.interpolate(self.guess(found), scale_factor=16.0, mode="nearest")
        for narrow, joined in zip(self.narrow, self.joined, strict=True):
            larger = functional.interpolate(narrow(found), scale_factor=2.0, mode="nearest")
            found = joined(torch.add(larger, sides.pop()))
        return torch.add(self.head(found), guess)


def build(classes: int = 11) -> nn.Module:
    """A network with the first layers of digits-mobilenet, the others untrained."""
    whole = load_factory("model:build", DIGITS, "model.factory")(classes=10, width=WIDTH)
    whole.load_state_dict(load_file(DIGITS / "weights.safetensors"))
    return DigitsSegmenter(classes=classes, features=whole.features[:LAYERS])


def convolution(arriving: int, leaving: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, batch normalization and ReLU6, whose fixed range is kind to INT8."""
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(),
    )
