"""A picture as a host's chain takes it, and as it hands it on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DTypeError, ImageTooLarge, ShapeError
from edgeprep.tensors import ImageSpec

__all__ = ["MAX_BYTES", "check_picture", "to_levels"]

# No camera has as much, and what is made of such a picture is four times as large. A view that
# repeats a few bytes has any size, and costs nothing until it is copied.
MAX_BYTES = 2**31 - 1


def check_picture(picture: object, image: ImageSpec, where: str = "picture") -> NDArray[np.uint8]:
    """The pixels of `picture` themselves, if it is what `image` says: `(H, W, C)`, uint8.

    Planes are `(H · 3 / 2, W, 1)`, H and W even.

    Strides do not matter: views, Fortran order and read-only arrays are taken as they are. Of
    subclasses the pixels are taken, those that a masked array hides, too.

    Args:
        picture: anything.
        image: what it must be.
        where: it is, for messages.

    Raises:
        DTypeError: it is no array, or not of uint8.
        ShapeError: it has not three axes, no pixels, other channels, or not the fixed size.
        ImageTooLarge: it has 2 GiB or more.
    """
    if not isinstance(picture, np.ndarray):
        raise DTypeError(
            f"{where}: must be a numpy array, got {type(picture).__name__!r}; "
            "edgeprep.pictures.read_picture reads files"
        )
    if picture.dtype != np.uint8:
        raise DTypeError(
            f"{where}: must have dtype uint8, values 0 to 255, got {picture.dtype.name!r}; "
            "scaling and normalization are part of the preprocessing"
        )
    shape = picture.shape
    if (
        len(shape) == 3
        and shape[2] == image.channels
        and shape[0] == (image.rows or shape[0])
        and shape[1] == (image.width or shape[1])
        and shape[0]
        and shape[1]
        and not (image.is_planar and (shape[0] % 3 or shape[1] % 2))
    ):
        if picture.size > MAX_BYTES:
            raise ImageTooLarge(f"{where}: must have at most {MAX_BYTES} bytes, got {picture.size}")
        # NOTE: what subclasses make of sums is their own: masked arrays leave pixels out.
        return picture if type(picture) is np.ndarray else picture.view(np.ndarray)
    raise ShapeError(f"{where}: must have shape {_spell(image)}, got {shape}{_hint(shape, image)}")


def to_levels(x: NDArray[Any]) -> NDArray[np.uint8]:
    """`x` as a graph takes it: uint8, rounded, halves up, C-contiguous."""
    if x.dtype != np.uint8:
        # Clip before the cast: numpy wraps around where a graph saturates.
        x = np.clip(x + np.float32(0.5), 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(x)


def _spell(image: ImageSpec) -> str:
    rows = "height * 3 / 2" if image.is_planar else "height"
    shape = f"({image.rows or rows}, {image.width or 'width'}, {image.channels})"
    return f"{shape}, {image.color} with even height and width" if image.is_planar else shape


def _hint(shape: tuple[int, ...], image: ImageSpec) -> str:
    if len(shape) == 4:
        return "; pictures go one at a time, or all to session.batch()"
    if len(shape) == 3 and shape[0] == image.channels and shape[2] != image.channels:
        return "; layout is HWC, this looks like CHW"
    if image.is_planar and len(shape) == 3 and shape[2] == 3:
        return "; this looks like RGB, which edgeprep.runtime.from_rgb brings to planes"
    if len(shape) == 2:
        return "; a picture of one channel has a last axis of length 1"
    if len(shape) == 3 and shape[2] == 4:
        return "; drop the alpha channel"
    return ""
