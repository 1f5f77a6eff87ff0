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
        number: its class.
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
    insides = [each.inside(height, width) for each in objects if each.inside is not None]
    # Crowds first, so that who is known in them stays known.
    order = sorted(
        range(len(objects)), key=lambda at: (not objects[at].crowd, -int(insides[at].sum()))
    )
    for at in order:
        mask[insides[at]] = IGNORED if objects[at].crowd else objects[at].number
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
