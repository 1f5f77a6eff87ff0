"""From stages that vary pictures to a chain for one picture."""

from collections.abc import Sequence
from operator import index as to_int
from typing import SupportsIndex

import numpy as np

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.interfaces import RandomStage, Stage, StreamStage
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.tensors import ImageSpec

__all__ = ["PICTURES", "draw", "leaving", "of_array", "whole_number"]

# What arrives where nothing else is said: RGB of any size.
PICTURES = ImageSpec()


def leaving(stages: Sequence[Stage], image: ImageSpec, where: str = "augment") -> ImageSpec:
    """The type of the pictures that leave `stages`, which is the same for all draws.

    Args:
        stages: those that vary pictures, and others between them.
        image: the type of the pictures that arrive.
        where: the start of messages.

    Raises:
        RecipeError: a stage cannot work on what arrives at it, or what leaves the last one is not
            as what came, but for its size and dtype.
    """
    arriving = image
    for index, stage in enumerate(stages):
        path = f"{where}[{index}]: {stage.name}"
        if isinstance(stage, StreamStage):
            rule = "must not be among stages for training, whose pictures come in any order"
            raise RecipeError(f"{path} {rule}, got one that remembers earlier pictures")
        try:
            image = stage.output(image)
        except RecipeError as error:
            raise RecipeError(f"{path} {error}") from error
        for aspect in ("color", "range", "light", "layout", "batch"):
            before, after = getattr(arriving, aspect), getattr(image, aspect)
            if before != after:
                rule = f"must leave pictures of {aspect} {before!r}, as they arrive"
                raise RecipeError(f"{path} {rule}, got {after!r}; put it under [[preprocess]]")
    return image


def draw(stages: Sequence[Stage], generator: np.random.Generator, image: ImageSpec) -> Chain:
    """What one picture goes through this time: a chain in which nothing is random any more.

    Args:
        stages: those that vary pictures, and others between them.
        generator: where all chance comes from.
        image: the type of the picture, of known size.

    Raises:
        ShapeError: a stage cannot work on pictures of this size.
    """
    chosen: list[Stage] = []
    arriving = image
    for stage in stages:
        try:
            promised = stage.output(image)
        except RecipeError as error:
            raise ShapeError(f"picture: {stage.name} {error}") from error
        drawn = stage.draw(generator, image) if isinstance(stage, RandomStage) else (stage,)
        for step in drawn:
            image = step.output(image)
        chosen.extend(drawn)
        if image.dtype != promised.dtype:
            chosen.append(DType(to="float32"))
            image = promised
    return Chain(input=arriving, stages=tuple(chosen))


def of_array(image: ImageSpec, rows: int, width: int) -> ImageSpec:
    """The type `image` at the size of an array of so many rows and columns."""
    # Planes have half as many rows again as pixels.
    return image.replace(height=rows * 2 // 3 if image.is_planar else rows, width=width)


def whole_number(name: str, value: SupportsIndex) -> int:
    """`value`, called `name`, as an int; samplers give those of numpy and torch as well.

    Raises:
        RecipeError: it is no whole number from 0.
    """
    try:
        number = -1 if isinstance(value, bool) else to_int(value)
    except TypeError:
        number = -1
    if number < 0:
        raise RecipeError(f"{name}: must be a whole number from 0, got {value!r}")
    return number
