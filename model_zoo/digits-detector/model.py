"""A one-stage detector without anchors, for 96×96 pictures, on the features of digits-mobilenet.

Every cell of two grids, of 8 and 16 pixels, says how far the sides of a box are from its middle,
and scores each class. The coarse grid's features join those of the fine one, and both have heads
of their own.
"""

from math import log
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from edgeprep.data import load_factory

__all__ = ["DigitsDetector", "build"]

DIGITS = Path(__file__).resolve().parent.parent / "digits-mobilenet"
WIDTH = 1.5  # as in its recipe.toml
separable = load_factory("model:separable", DIGITS, "model")
convolution = load_factory("model:convolution", DIGITS, "model")
# After which of its blocks a cell is 8 pixels wide, and after which one 16, with their channels.
FINE, COARSE = (5, 192), (7, 384)
NECK = 96
# As in RetinaNet (arXiv:1708.02002, section 4.1): at first nearly nothing is an object.
FIRST_SCORE = 0.01
FIRST_DISTANCE = 1.5  # cells


class DigitsDetector(nn.Module):
    """Pictures `(N, 3, 96, 96)`, float32 and normalized, to boxes and scores of two grids."""

    def __init__(self, features: nn.Sequential, *, classes: int) -> None:
        super().__init__()
        self.features = features
        self.down = convolution(COARSE[1], NECK, kernel=1, stride=1)
        self.across = convolution(FINE[1], NECK, kernel=1, stride=1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.heads = nn.ModuleList([Head(classes), Head(classes)])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes of the fine and of the coarse grid, `(N, 4, H, W)`, and scores, likewise."""
        found, maps = {}, pictures
        for index, block in enumerate(self.features):
            maps = found[index] = block(maps)
        coarse = self.down(found[COARSE[0]])
        fine = self.across(found[FINE[0]]) + self.up(coarse)
        fine_boxes, fine_scores = self.heads[0](fine)
        coarse_boxes, coarse_scores = self.heads[1](coarse)
        return fine_boxes, coarse_boxes, fine_scores, coarse_scores


class Head(nn.Module):
    """Features of a grid, `(N, 96, H, W)`, to distances in cells and logits of classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.box_features = separable(NECK, NECK, 1)
        self.score_features = nn.Sequential(separable(NECK, NECK, 1), separable(NECK, NECK, 1))
        self.boxes = nn.Conv2d(NECK, 4, 1)
        self.scores = nn.Conv2d(NECK, classes, 1)
        nn.init.constant_(self.boxes.bias, FIRST_DISTANCE)
        nn.init.constant_(self.scores.bias, -log((1 - FIRST_SCORE) / FIRST_SCORE))
        nn.init.normal_(self.scores.weight, std=0.01)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """`(N, 4, H, W)` and `(N, classes, H, W)`."""
        return self.boxes(self.box_features(maps)), self.scores(self.score_features(maps))


def build(classes: int = 10) -> nn.Module:
    """A network that knows what digits-mobilenet has learned, and has not learned to detect."""
    known = load_factory("model:build", DIGITS, "model")(classes=classes, width=WIDTH)
    known.load_state_dict(load_file(DIGITS / "weights.safetensors"))
    return DigitsDetector(known.features, classes=classes)
