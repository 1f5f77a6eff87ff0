"""A small network of depthwise-separable convolutions for 64×64 colour pictures."""

from torch import Tensor, nn

__all__ = ["DigitsMobileNet", "build"]

# (channels, stride) of each block, after MobileNet v1 (arXiv:1704.04861, table 1), cut down to
# 64×64 pictures: the last map is 4×4, and the receptive field covers the picture.
BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1))
STEM = 16


class DigitsMobileNet(nn.Module):
    """Pictures `(N, 3, 64, 64)`, float32 and normalized, to logits `(N, classes)`."""

    def __init__(self, *, classes: int, width: float) -> None:
        super().__init__()
        channels = scaled(STEM, width)
        blocks: list[nn.Module] = [convolution(3, channels, kernel=3, stride=2)]
        for base, stride in BLOCKS:
            following = scaled(base, width)
            blocks.append(separable(channels, following, stride))
            channels = following
        self.features = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of `pictures`."""
        return self.classifier(self.dropout(self.pool(self.features(pictures)).flatten(1)))


def build(classes: int = 10, width: float = 1.0) -> nn.Module:
    """An untrained network; `width` multiplies the channels of every layer."""
    return DigitsMobileNet(classes=classes, width=width)


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, in steps of eight: what integer kernels like."""
    return max(8, round(channels * width / 8) * 8)


def separable(arriving: int, leaving: int, stride: int) -> nn.Sequential:
    """A depthwise 3×3 convolution and a pointwise one."""
    return nn.Sequential(
        convolution(arriving, arriving, kernel=3, stride=stride, groups=arriving),
        convolution(arriving, leaving, kernel=1, stride=1),
    )


def convolution(
    arriving: int, leaving: int, *, kernel: int, stride: int, groups: int = 1
) -> nn.Sequential:
    """A convolution, batch normalization and ReLU6, whose fixed range is kind to INT8."""
    return nn.Sequential(
        nn.Conv2d(
            arriving, leaving, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(),
    )
