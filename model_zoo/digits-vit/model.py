"""A small vision transformer for 64×64 colour pictures: convolutions see first, attention judges.

It is the hybrid of the vision transformer's paper: its tokens are what the first layers of
digits-mobilenet see in 8×8 places of a picture. Those layers are taken as they are; what is learned
here is the transformer.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from edgeprep.data import load_factory

__all__ = ["DigitsViT", "build"]

MOBILENET = Path(__file__).resolve().parent.parent / "digits-mobilenet"
SEEING, SEEN = 6, 192  # layers of digits-mobilenet, and the channels that they give
# A transformer as in ViT (arXiv:2010.11929, section 3.1), a twelfth as wide as its smallest, with
# the mean of all tokens in place of one for the class.
GRID = 8  # tokens to a side
WIDTH, HEADS, DEPTH = 64, 4, 3
HIDDEN = 2  # times the width, between the two layers that follow each attention


class DigitsViT(nn.Module):
    """Pictures `(N, 3, 64, 64)`, float32 and normalized, to logits `(N, classes)`."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.seeing = seeing()
        self.tokens = nn.Conv2d(SEEN, WIDTH, 1)
        self.places = nn.Parameter(torch.empty(1, GRID * GRID, WIDTH).normal_(std=0.02))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH)
        self.classifier = nn.Linear(WIDTH, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of `pictures`."""
        tokens = self.tokens(self.seeing(pictures)).flatten(2).transpose(1, 2) + self.places
        return self.classifier(self.norm(self.blocks(tokens)).mean(1))


class Block(nn.Module):
    """Every token looks at all of them, and thinks about what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.looking = nn.Sequential(nn.LayerNorm(WIDTH), Attention())
        self.thinking = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDTH * HIDDEN),
            nn.GELU(),
            nn.Linear(WIDTH * HIDDEN, WIDTH),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """`(N, tokens, WIDTH)` to the same shape."""
        tokens = tokens + self.looking(tokens)
        return tokens + self.thinking(tokens)


class Attention(nn.Module):
    """Attention of several heads, of all tokens to all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        """`(N, tokens, WIDTH)` to the same shape."""
        query, key, value = (
            layer(tokens).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        seen = scaled_dot_product_attention(query, key, value)
        return self.out(seen.transpose(1, 2).flatten(2))


def build(classes: int = 10) -> nn.Module:
    """A network whose first layers have learned, and whose transformer has not."""
    return DigitsViT(classes=classes)


def seeing() -> nn.Module:
    """The first layers of digits-mobilenet, with its weights: `(N, 192, 8, 8)` of a picture."""
    build_mobilenet = load_factory("model:build", MOBILENET, "model.factory")
    network = build_mobilenet(classes=10, width=1.5)
    network.load_state_dict(load_file(MOBILENET / "weights.safetensors"))
    return network.features[:SEEING]
