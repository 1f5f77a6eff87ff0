"""The kinds of pictures that can arrive at a stage, and some of each."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.linear import Linear
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.tensors import Color as ColorOrder
from edgeprep.tensors import ImageSpec

__all__ = ["arrivals", "before", "camera_pictures", "free", "pictures", "show"]

# One pixel, odd sizes both ways, and one that most crops fit into: (height, width).
SIZES = ((1, 1), (5, 3), (33, 46), (259, 301))
# What a stage sees in every range and layout; of the other colours one kind is enough.
COMMON: tuple[ColorOrder, ...] = ("rgb", "bgr", "grey")
CAMERA: tuple[ColorOrder, ...] = ("rgba", "bgra", "nv12", "i420")
SPACES: tuple[ColorOrder, ...] = ("ycrcb", "hsv", "lab")


def arrivals(image: ImageSpec | None) -> Iterator[ImageSpec]:
    """Every kind of picture at every size, or `image` alone, at its size if it has one."""
    if image is not None and image.is_fixed:
        yield image
        return
    for height, width in SIZES:
        for kind in _kinds() if image is None else (image,):
            # Planes have the colour of 2 × 2 pixels together.
            odd = int(kind.is_planar)
            yield kind.replace(height=height + height % 2 * odd, width=width + width % 2 * odd)


def _kinds() -> Iterator[ImageSpec]:
    for color in COMMON:
        image = ImageSpec(color=color)
        numbers = image.replace(dtype="float32")
        yield from (image, numbers, numbers.replace(range="0..1"))
        yield from (numbers.replace(range="normalized"), numbers.replace(layout="nchw"))
    numbers = ImageSpec(dtype="float32")
    yield from (numbers.replace(range="-1..1"), numbers.replace(light="linear"))
    yield from (ImageSpec(color=color) for color in CAMERA)
    yield from (ImageSpec(color=color, dtype="float32") for color in SPACES)


def before(image: ImageSpec) -> Chain:
    """What makes pictures of the type `image` from those that a camera gives."""
    middle = (0.5,) * image.channels
    stages: dict[str, tuple[Stage, ...]] = {
        "0..255": () if image.dtype == "uint8" else (DType(),),
        "0..1": (Scale(),),
        "-1..1": (Scale(to="-1..1"),),
        "normalized": (Normalize(mean=middle, std=middle),),
    }
    layout = (Layout(to="nchw"),) if image.layout == "nchw" else ()
    camera = ImageSpec(height=image.height, width=image.width, color=image.color)
    if image.light == "linear":
        return Chain(input=camera, stages=(Linear(), *layout))
    if image.color in ("ycrcb", "hsv", "lab"):
        return Chain(input=camera.replace(color="rgb"), stages=(Color(to=image.color),))
    return Chain(input=camera, stages=(*stages[image.range], *layout))


def camera_pictures(image: ImageSpec) -> NDArray[np.uint8]:
    """Two pictures `(2, H, W, C)` of noise, the worst gradients there are, many values at the ends.

    They are what `before(image)` takes.
    """
    noise = np.random.default_rng(0).integers(-40, 296, before(image).input.shape(2))
    return np.clip(noise, 0, 255).astype(np.uint8)


def pictures(image: ImageSpec) -> NDArray[Any]:
    """The same two pictures as the type `image` has them."""
    return before(image).apply(NumpyPrimitives(), camera_pictures(image))


def free(image: ImageSpec) -> ImageSpec:
    """The same kind of picture where any size may come."""
    return image.replace(height=None, width=None)


def show(image: ImageSpec) -> str:
    """A type in words, height first: `5×3 rgb nhwc float32 0..255`, or `any size grey …`."""
    size = f"{image.height}×{image.width}" if image.is_fixed else "any size"
    return " ".join((size, image.color, image.layout, image.dtype, image.range))
