"""A small U-Net for 96×96 colour pictures, with a class for every second pixel each way.

Results are brought to the size of the picture that came in, so that edges lie between pixels.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DigitsSegmenter", "build"]

# Channels at 1/2, 1/4, 1/8 and 1/16 of the picture, after U-Net (arXiv:1505.04597, figure 1), far
# narrower; what comes back up is added to what went down, not laid beside it, as in LinkNet
# (arXiv:1707.03718), which needs half the weights. To the coarsest map its mean is added, which
# sees the whole picture.
CHANNELS = (16, 24, 40, 56)


class DigitsSegmenter(nn.Module):
    """Pictures `(N, 3, 96, 96)`, float32 and normalized, to logits `(N, classes, 48, 48)`."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            convolution(3, CHANNELS[0], stride=2), convolution(CHANNELS[0], CHANNELS[0])
        )
        steps = list(pairwise(CHANNELS))
        self.down = nn.ModuleList(
            nn.Sequential(convolution(fine, coarse, stride=2), convolution(coarse, coarse))
            for fine, coarse in steps
        )
        self.whole = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(CHANNELS[-1], CHANNELS[-1], 1)
        )
        self.narrow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in reversed(steps))
        self.up = nn.ModuleList(convolution(fine, fine) for fine, _ in reversed(steps))
        self.head = nn.Conv2d(CHANNELS[0], classes, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of `pictures`."""
        maps = [self.stem(pictures)]
        for step in self.down:
            maps.append(step(maps[-1]))
        found = maps.pop()
        found = torch.add(found, self.whole(found))
        for narrow, join in zip(self.narrow, self.up, strict=True):
            larger = functional.interpolate(narrow(found), scale_factor=2.0, mode="nearest")
            found = join(torch.add(larger, maps.pop()))
        return self.head(found)


def build(classes: int = 11) -> nn.Module:
    """An untrained network."""
    return DigitsSegmenter(classes=classes)


def convolution(arriving: int, leaving: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, batch normalization and ReLU6, whose fixed range is kind to INT8."""
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(),
    )
