"""A convolutional GRU for 48×48 colour frames: it tells what one frame cannot, which way things go.

The gates are those of ConvGRU (arXiv:1511.06432, equations 6 to 9). What has changed since the
frame before is laid beside each frame: so it need not learn first that it is this that counts.
"""

import torch
from torch import Tensor, nn

__all__ = ["MovingDigits", "build"]

# Channels at 1/2 and 1/4 of the frame, and of what is remembered at 1/4.
CHANNELS = (16, 24)
HIDDEN = 16


class MovingDigits(nn.Module):
    """A frame `(N, 3, 48, 48)`, float32 and normalized, and two states, to logits and new states.

    The states are `(N, 16, 12, 12)`, zeros before the first frame: what is remembered of all
    frames, and what was seen in the last one.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            convolution(3, CHANNELS[0], stride=2),
            convolution(CHANNELS[0], CHANNELS[1], stride=2),
            convolution(CHANNELS[1], HIDDEN),
        )
        self.motion = convolution(2 * HIDDEN, HIDDEN)
        # Apart, so that each can be quantized, or kept in float, by itself.
        self.reset = nn.Conv2d(2 * HIDDEN, HIDDEN, 3, padding=1)
        self.update = nn.Conv2d(2 * HIDDEN, HIDDEN, 3, padding=1)
        self.candidate = nn.Conv2d(2 * HIDDEN, HIDDEN, 3, padding=1)
        self.look = convolution(HIDDEN, 32)
        self.head = nn.Linear(32, classes)

    def forward(
        self, frames: Tensor, hidden: Tensor, before: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The logits for `frames`, and both states after them."""
        seen = self.features(frames)
        motion = self.motion(torch.cat((seen, seen - before), 1))
        both = torch.cat((motion, hidden), 1)
        reset, update = self.reset(both).sigmoid(), self.update(both).sigmoid()
        candidate = self.candidate(torch.cat((motion, reset * hidden), 1)).tanh()
        hidden = hidden + update * (candidate - hidden)
        return self.head(self.look(hidden).mean((2, 3))), hidden, seen


def build(classes: int = 5) -> nn.Module:
    """An untrained network."""
    return MovingDigits(classes=classes)


def convolution(arriving: int, leaving: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, batch normalization and ReLU6, whose fixed range is kind to INT8."""
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(),
    )
