"""The objects that annotations name in one picture, as the truth that a task asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.reader import labels_of
from edgeprep.errors import InputError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.truths import IGNORED, Boxes

__all__ = ["Object", "boxes_of", "check_size", "mask_of", "number_of_background"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One object of a picture.

    Attributes:
        number: its class; of a mask, 255 for one that counts neither for nor against anybody.
        corners: least x, least y, greatest x, greatest y in pixels.
        crowd: whether it is many that are not told apart.
        area: how many pixels it has; None where only its box is known.
        inside: the pixels of it, `(height, width)`, for a picture of that height and width; None
            where only its box is known.
    """

    number: int
    corners: tuple[float, float, float, float]
    crowd: bool = False
    area: float | None = None
    inside: Callable[[int, int], NDArray[np.bool_]] | None = None


def boxes_of(objects: Sequence[Object]) -> Boxes:
    """The boxes of `objects`."""
    boxes = Boxes.of(
        [each.corners for each in objects],
        [each.number for each in objects],
        [each.crowd for each in objects],
    )
    for index, each in enumerate(objects):
        if each.area is not None:
            boxes.areas[index] = each.area
    return boxes


def mask_of(
    objects: Sequence[Object], background: int, height: int, width: int
) -> NDArray[np.uint8]:
    """The class of every pixel; where objects lie over each other, that of the smallest.

    What belongs to a crowd alone is 255, as it counts neither for nor against anybody.

    Args:
        objects: each with `inside`.
        background: the class of pixels that are in none of them.
        height: of the picture.
        width: likewise.

    Raises:
        InputError: what is inside an object cannot be made out.
    """
    mask = np.full((height, width), background, np.uint8)
    drawn = [(each, each.inside) for each in objects if each.inside is not None]
    # NOTE: made once for its size and once to be drawn: together those of a large picture do not
    # fit into memory.
    sizes = [int(inside(height, width).sum()) for _, inside in drawn]
    # Crowds first, so that who is known in them stays known.
    order = sorted(range(len(drawn)), key=lambda at: (not drawn[at][0].crowd, -sizes[at]))
    for each, inside in (drawn[at] for at in order):
        mask[inside(height, width)] = IGNORED if each.crowd else each.number
    return mask


def number_of_background(task: Task, background: str, where: str) -> int:
    """The number of the label that pixels have which are in no object.

    Raises:
        RecipeError: there is no such label.
    """
    labels = labels_of(task)
    if background not in labels:
        rule = "must be the label of pixels that are in no object"
        raise RecipeError(f"{where}.background: {rule}, got {background!r}, which is none of them")
    return labels.index(background)


def check_size(picture: NDArray[Any], height: int | None, width: int | None, where: str) -> None:
    """Refuse a picture of another size than annotations are about.

    Raises:
        InputError: it has another one.
    """
    if height and width and picture.shape[:2] != (height, width):
        got = f"{picture.shape[1]}×{picture.shape[0]}"
        rule = f"must be about a picture of its size, {got}"
        raise InputError(f"{where}: {rule}, got {width}×{height} pixels")
