"""A small residual denoiser for colour photographs with Gaussian noise.

It finds the noise at half the size, four pixels at a time, and takes it away from the picture.
"""

import torch
from torch import Tensor, nn

__all__ = ["PhotoDenoiser", "build"]


class PhotoDenoiser(nn.Module):
    """Pictures `(N, 3, H, W)`, float32 in 0..1, H and W even, to the same without noise.

    After DnCNN (arXiv:1608.03981, figure 1): layers of 3×3 convolution, batch normalization and
    ReLU that learn the noise. As in FFDNet (arXiv:1710.04026) they work at half the size, at a
    quarter of the cost; here a convolution with stride 2 brings pictures there, and its transpose
    back.
    """

    def __init__(self, *, channels: int, layers: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(3, channels, 4, 2, padding=1), nn.ReLU())
        self.layers = nn.Sequential(*(convolution(channels) for _ in range(layers)))
        self.noise = nn.ConvTranspose2d(channels, 3, 2, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """`pictures` without noise."""
        noise = self.noise(self.layers(self.narrow(pictures)))
        return torch.clamp(pictures - noise, 0.0, 1.0)


def build(channels: int = 40, layers: int = 4) -> nn.Module:
    """An untrained network; `layers` are those between the first and the last."""
    return PhotoDenoiser(channels=channels, layers=layers)


def convolution(channels: int) -> nn.Sequential:
    """A 3×3 convolution, batch normalization and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )
