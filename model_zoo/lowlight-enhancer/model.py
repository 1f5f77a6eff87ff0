"""A small network that brightens dark colour photographs by curves of its own for every pixel."""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LowlightEnhancer", "build"]

# Channels at 1/2, 1/4 and 1/8 of the picture.
CHANNELS = (16, 24, 32)


class LowlightEnhancer(nn.Module):
    """Pictures `(N, 3, H, W)`, float32 in 0..1, H and W multiples of 8, to brighter ones.

    After Zero-DCE (arXiv:2001.06826, equation 3): a level x becomes x + a·x·(1 - x), several times,
    where each a, in -1..1, is another one for every pixel, channel and time. Such curves keep black
    and white where they are and cannot turn levels round. Here the a are found at half the size,
    with the mean of the whole picture in sight, and a last term takes noise away.
    """

    def __init__(self, *, curves: int) -> None:
        super().__init__()
        first, second, third = CHANNELS
        self.first = nn.Sequential(convolution(3, first, stride=2), convolution(first, first))
        self.second = nn.Sequential(
            convolution(first, second, stride=2), convolution(second, second)
        )
        self.third = nn.Sequential(convolution(second, third, stride=2), convolution(third, third))
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(third, third, 1))
        self.to_quarter = nn.Conv2d(third, second, 1)
        self.to_half = nn.Conv2d(second, first, 1)
        self.join_quarter = convolution(second, second)
        self.join_half = convolution(first, first)
        self.curves = nn.ConvTranspose2d(first, 3 * curves, 2, 2)
        self.noise = nn.ConvTranspose2d(first, 3, 2, 2)
        # So that it begins by leaving pictures as they are.
        nn.init.zeros_(self.curves.weight)
        nn.init.zeros_(self.noise.weight)

    def forward(self, pictures: Tensor) -> Tensor:
        """`pictures` as in good light."""
        half = self.first(pictures)
        quarter = self.second(half)
        eighth = self.third(quarter)
        eighth = torch.add(eighth, self.whole(eighth))
        quarter = self.join_quarter(torch.add(quarter, doubled(self.to_quarter(eighth))))
        half = self.join_half(torch.add(half, doubled(self.to_half(quarter))))
        bright = pictures
        for curve in torch.tanh(self.curves(half)).split(3, dim=1):
            bright = bright + curve * bright * (1.0 - bright)
        return torch.clamp(bright - self.noise(half), 0.0, 1.0)


def build(curves: int = 4) -> nn.Module:
    """An untrained network; `curves` is how many times levels are bent."""
    return LowlightEnhancer(curves=curves)


def doubled(maps: Tensor) -> Tensor:
    """`maps` at twice their size."""
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def convolution(arriving: int, leaving: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, batch normalization and ReLU6, whose fixed range is kind to INT8."""
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(),
    )
