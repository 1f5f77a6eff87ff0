"""Networks of well-known sizes with random weights, whose outputs are a usable oracle.

Freshly initialised, such networks answer almost the same to every picture. Here batch normalization
has statistics of real photographs and random scales, so that signals stay as strong as in trained
networks, and outputs differ from picture to picture.
"""

import torch
from photographs import crops
from torch import Tensor, nn

__all__ = ["mobilenet_v2", "resnet_50", "tiny", "weights_dominated"]

# (expansion, channels, repeats, stride) of each group: arXiv:1801.04381, table 2.
INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# (channels, repeats, stride) of each group: arXiv:1512.03385, table 1, 50 layers.
BOTTLENECKS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
EXPANSION = 4
CLASSES = 1000
# (channels, stride) of 3×3 convolutions whose weights outweigh all else in a file.
WIDE = ((64, 4), (256, 2), (512, 2), (352, 2))
# Two copies of it fit in a core's cache, so that neither slows the other down.
NARROW = ((16, 2), (32, 2))


class Residual(nn.Module):
    """What the branch gives, added to what came in or to its projection."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.branch(x) + self.shortcut(x))


def mobilenet_v2() -> nn.Module:
    """MobileNetV2: 3.5 million parameters, 300 million multiply-adds for 224×224."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [convolution(3, 32, 3, 2, last=nn.ReLU6())]
    arriving = 32
    for expansion, channels, repeats, stride in INVERTED:
        for index in range(repeats):
            layers.append(inverted(arriving, channels, expansion, stride if index == 0 else 1))
            arriving = channels
    layers.append(convolution(arriving, 1280, 1, 1, last=nn.ReLU6()))
    return settled(nn.Sequential(*layers, *classifier(1280, CLASSES)), size=224)


def resnet_50() -> nn.Module:
    """ResNet-50: 25.6 million parameters, 4.1 billion multiply-adds for 224×224."""
    torch.manual_seed(0)
    stem = convolution(3, 64, 7, 2, last=nn.ReLU())
    layers: list[nn.Module] = [stem, nn.MaxPool2d(3, 2, padding=1)]
    arriving = 64
    for channels, repeats, stride in BOTTLENECKS:
        for index in range(repeats):
            layers.append(bottleneck(arriving, channels, stride if index == 0 else 1))
            arriving = channels * EXPANSION
    return settled(nn.Sequential(*layers, *classifier(arriving, CLASSES)), size=224)


def weights_dominated() -> nn.Module:
    """Three million parameters in four convolutions, for 64×64."""
    return plain(WIDE, classes=100, size=64)


def tiny() -> nn.Module:
    """Five thousand parameters in two convolutions, for 32×32."""
    return plain(NARROW, classes=10, size=32)


def plain(groups: tuple[tuple[int, int], ...], *, classes: int, size: int) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    arriving = 3
    for channels, stride in groups:
        layers.append(convolution(arriving, channels, 3, stride, last=nn.ReLU()))
        arriving = channels
    return settled(nn.Sequential(*layers, *classifier(arriving, classes)), size=size)


def inverted(arriving: int, leaving: int, expansion: int, stride: int) -> nn.Module:
    hidden = arriving * expansion
    expand = [convolution(arriving, hidden, 1, 1, last=nn.ReLU6())] if expansion > 1 else []
    branch = nn.Sequential(
        *expand,
        convolution(hidden, hidden, 3, stride, groups=hidden, last=nn.ReLU6()),
        convolution(hidden, leaving, 1, 1),
    )
    if stride > 1 or arriving != leaving:
        return branch
    return Residual(branch, nn.Identity(), nn.Identity())


def bottleneck(arriving: int, channels: int, stride: int) -> nn.Module:
    leaving = channels * EXPANSION
    branch = nn.Sequential(
        convolution(arriving, channels, 1, 1, last=nn.ReLU()),
        convolution(channels, channels, 3, stride, last=nn.ReLU()),
        convolution(channels, leaving, 1, 1),
    )
    same = stride == 1 and arriving == leaving
    shortcut = nn.Identity() if same else convolution(arriving, leaving, 1, stride)
    return Residual(branch, shortcut, nn.ReLU())


def convolution(
    arriving: int,
    leaving: int,
    kernel: int,
    stride: int,
    *,
    groups: int = 1,
    last: nn.Module | None = None,
) -> nn.Sequential:
    padding = kernel // 2
    layer = nn.Conv2d(arriving, leaving, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(leaving), *([last] if last else []))


def classifier(arriving: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(arriving, classes)]


def settled(network: nn.Module, size: int) -> nn.Module:
    """`network` with random scales and the statistics of photographs in its normalizations."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.3)
            module.momentum = None  # the plain mean of what was seen
    pictures = torch.stack([torch.from_numpy(picture) for picture in crops(size, 16, seed=1)])
    with torch.inference_mode():
        network.train()(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
    return network.eval()
