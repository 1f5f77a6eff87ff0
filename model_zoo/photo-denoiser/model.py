"""A small residual denoiser for colour photographs with Gaussian noise.

It finds the noise at half the size, four pixels at a time, and takes it away from the picture.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PhotoDenoiser", "build"]

# What brings noise of 25 levels to about one, where networks learn best.
CONTRAST = 8.0


class PhotoDenoiser(nn.Module):
    """Pictures `(N, 3, H, W)`, float32 in 0..1, H and W even, to the same without noise.

    As in DnCNN (arXiv:1608.03981, figure 1) it is the noise that is learned, and as in FFDNet
    (arXiv:1710.04026) at half the size, at a quarter of the cost; here a convolution with stride 2
    brings pictures there, and its transpose back. Between them are residual blocks without
    normalization, after EDSR (arXiv:1707.02921). Beside the picture they see what is left of it
    without the mean of 5×5 pixels, in which noise is most of all there is, and which it need not
    learn to find. No pixel is looked at that is farther away than twelve.
    """

    def __init__(self, *, channels: int, blocks: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(6, channels, 4, 2, padding=1)
        self.blocks = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.noise = nn.ConvTranspose2d(channels, 3, 2, 2)
        # So that it begins by leaving pictures as they are.
        nn.init.zeros_(self.noise.weight)

    def forward(self, pictures: Tensor) -> Tensor:
        """`pictures` without noise."""
        left = (pictures - functional.avg_pool2d(pictures, 5, 1, 2)) * CONTRAST
        noise = self.noise(self.blocks(self.narrow(torch.cat((left, pictures), dim=1))))
        return torch.clamp(pictures - noise, 0.0, 1.0)


class Residual(nn.Module):
    """Two 3×3 convolutions, and what arrived added to them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, channels, H, W)` to the same shape."""
        return torch.add(maps, self.second(torch.relu(self.first(maps))))


def build(channels: int = 40, blocks: int = 2) -> nn.Module:
    """An untrained network."""
    return PhotoDenoiser(channels=channels, blocks=blocks)
