"""A narrow network of depthwise convolutions on digits, whose channels differ by a factor of 1000.

Each depthwise convolution scales its channels, and the pointwise one behind it scales them back, so
that in float the function stays the same.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["build", "calibration", "evaluation", "training", "validation"]

CHANNELS = 8
SPREAD = 3.0  # in powers of ten
EPOCHS, RATE, BATCH = 30, 3e-3, 64

Samples = Iterator[tuple[NDArray[np.uint8], int]]


class Fragile(nn.Module):
    """Pictures `(N, 1, 8, 8)`, float32 in −1…1, to logits `(N, 10)`."""

    def __init__(self) -> None:
        super().__init__()
        wide = 2 * CHANNELS
        self.stem = nn.Sequential(*norm(nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False)))
        self.blocks = nn.Sequential(
            separable(CHANNELS, CHANNELS, 1),
            separable(CHANNELS, wide, 2),
            separable(wide, wide, 1),
        )
        self.head = nn.Linear(wide, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of `pictures`."""
        return self.head(self.blocks(self.stem(pictures)).mean((2, 3)))


def norm(convolution: nn.Conv2d) -> list[nn.Module]:
    """A convolution, batch normalization and ReLU."""
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]


def separable(arriving: int, leaving: int, stride: int) -> nn.Sequential:
    """A depthwise 3×3 convolution and a pointwise one."""
    return nn.Sequential(
        *norm(nn.Conv2d(arriving, arriving, 3, stride, 1, groups=arriving, bias=False)),
        *norm(nn.Conv2d(arriving, leaving, 1, bias=False)),
    )


def build(seed: int = 0) -> nn.Module:
    """The network, trained here in a few seconds, with its channels far apart."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network, random = Fragile(), torch.Generator().manual_seed(seed)
    learn(network, random)
    for block in network.blocks:
        depthwise, pointwise = block[1], block[3]
        scales = 10 ** ((torch.rand(len(depthwise.weight), generator=random) - 0.5) * SPREAD)
        with torch.no_grad():
            depthwise.weight *= scales
            depthwise.bias *= scales
            pointwise.weight /= scales[:, None, None]
    torch.set_num_threads(threads)
    return network


def learn(network: nn.Module, random: torch.Generator) -> None:
    """Train `network` on the training pictures."""
    pictures, labels = zip(*training(), strict=True)
    inputs = torch.from_numpy(np.stack(pictures)[..., :1]).permute(0, 3, 1, 2) / 127.5 - 1
    wanted = torch.tensor(labels)
    steps = len(wanted) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(wanted), generator=random).split(BATCH)[:steps]:
            optimizer.zero_grad()
            functional.cross_entropy(network(inputs[chosen]), wanted[chosen]).backward()
            optimizer.step()
            schedule.step()


def digits(parts: tuple[int, ...]) -> Samples:
    """Every fifth digit of scikit-learn, of each of `parts`, as pictures in colour."""
    found = load_digits()
    for index, (picture, label) in enumerate(zip(found.images, found.target, strict=True)):
        if index % 5 in parts:
            levels = (picture / 16 * 255).astype(np.uint8)
            yield np.repeat(levels[..., None], 3, axis=2), int(label)


def training() -> Samples:
    """Three fifths."""
    yield from digits((0, 1, 2))


def validation() -> Samples:
    """One fifth, by which training chooses."""
    yield from digits((3,))


def evaluation() -> Samples:
    """The last fifth, which nothing has seen."""
    yield from digits((4,))


def calibration() -> Samples:
    """Some that were trained with."""
    for index, sample in enumerate(training()):
        if index % 4 == 0:
            yield sample
