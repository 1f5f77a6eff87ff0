"""A residual network for 64×64 colour pictures that keeps their full size for long.

It is slow and exact: what a smaller network is taught by, not what a device runs.
"""

import torch
from torch import Tensor, nn

__all__ = ["DigitsResNet", "build"]

# (channels, blocks) of each stage, after ResNet-18 (arXiv:1512.03385, table 1), a quarter as wide.
# The stem keeps 64×64, and each stage but the first halves it: the last map is 8×8.
STAGES = ((16, 2), (32, 2), (64, 3), (128, 2))


class DigitsResNet(nn.Module):
    """Pictures `(N, 3, 64, 64)`, float32 and normalized, to logits `(N, classes)`."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        channels = STAGES[0][0]
        self.stem = nn.Sequential(*convolution(3, channels, kernel=3), nn.ReLU())
        stages: list[nn.Module] = []
        for index, (following, blocks) in enumerate(STAGES):
            stride = 1 if index == 0 else 2
            first = Residual(channels, following, stride)
            more = (Residual(following, following, 1) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *more))
            channels = following
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of `pictures`."""
        return self.classifier(self.pool(self.stages(self.stem(pictures))).flatten(1))


class Residual(nn.Module):
    """Two 3×3 convolutions, and what arrived added to them."""

    def __init__(self, arriving: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*convolution(arriving, leaving, kernel=3, stride=stride))
        self.second = nn.Sequential(*convolution(leaving, leaving, kernel=3))
        same = stride == 1 and arriving == leaving
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(*convolution(arriving, leaving, kernel=1, stride=stride))
        )

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, arriving, H, W)` to `(N, leaving, H / stride, W / stride)`."""
        inner = self.second(torch.relu(self.first(maps)))
        return torch.relu(inner + self.shortcut(maps))


def build(classes: int = 10) -> nn.Module:
    """An untrained network."""
    return DigitsResNet(classes=classes)


def convolution(
    arriving: int, leaving: int, *, kernel: int, stride: int = 1
) -> tuple[nn.Module, nn.Module]:
    """A convolution and its batch normalization."""
    return (
        nn.Conv2d(arriving, leaving, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(leaving),
    )
