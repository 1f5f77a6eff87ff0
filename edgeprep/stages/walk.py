"""A picture after each stage of a chain, and how long each one takes on this host."""

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.stages.chain import Chain
from edgeprep.stages.picture import check_picture
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

__all__ = ["Step", "as_pixels", "walk"]

NUMPY = NumpyPrimitives()


class Step(Struct, frozen=True, kw_only=True, eq=False):
    """What one stage made of a picture.

    Attributes:
        name: of the stage, with its version; "picture" before the first one.
        image: the type of what left it.
        array: `(N, H, W, C)`, or `(N, C, H, W)` after a layout.
        ms: the median of several runs of numpy; None for the picture itself.
    """

    name: str
    image: ImageSpec
    array: NDArray[Any]
    ms: float | None


def walk(chain: Chain, picture: NDArray[np.uint8], *, runs: int = 5) -> list[Step]:
    """The picture as it arrives, and after each stage.

    Stages that remember earlier pictures see the first of a stream.

    Args:
        chain: all of the preprocessing, whatever its placement.
        picture: `(H, W, C)`, uint8, as the chain takes it.
        runs: how often each stage is timed.

    Raises:
        InputError: `picture` is not what the chain takes.
    """
    x: NDArray[Any] = check_picture(picture, chain.input)[None]
    steps = [Step(name="picture", image=chain.input, array=x, ms=None)]
    for stage, arriving, leaving in zip(
        chain.stages, chain.images[:-1], chain.images[1:], strict=True
    ):
        times = []
        for _ in range(max(runs, 1)):
            start = perf_counter()
            result = stage.apply(NUMPY, x, arriving)
            times.append((perf_counter() - start) * 1e3)
        x = result
        name = f"{stage.name}@{stage.version}"
        steps.append(Step(name=name, image=leaving, array=x, ms=median(times)))
    return steps


def as_pixels(step: Step) -> NDArray[np.uint8]:
    """What a step looks like: `(H, W, 3)` or `(H, W, 1)`, uint8.

    Values that are no levels any more are spread between their least and their greatest. Channels
    that are no colours, such as hue, are shown as they are; of several pictures, the first.
    """
    image = step.image
    array = step.array[0].astype(np.float32)
    if image.layout == "nchw":
        array = array.transpose(1, 2, 0)
    if image.range == "0..1":
        array = array * 255.0
    elif image.range != "0..255":
        low, high = float(array.min()), float(array.max())
        array = (array - low) * (255.0 / max(high - low, 1e-6))
    if image.color in ("bgr", "bgra"):
        array = array[..., 2::-1]
    pixels = np.clip(np.floor(array + 0.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[..., :3])
