"""What a session takes, checked before any engine sees it."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DTypeError, ShapeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.tensors import ImageSpec

__all__ = ["check_batch", "check_picture", "from_rgb"]


def check_batch(pictures: object) -> Iterable[object]:
    """`pictures` itself, if it can be several; each of them is still to be checked.

    Raises:
        DTypeError: there is nothing to iterate over.
        ShapeError: it is an array that is not `(N, H, W, C)`.
    """
    if not isinstance(pictures, Iterable):
        raise DTypeError(
            f"pictures: must be several, or an array (N, H, W, C), got {type(pictures).__name__!r}"
        )
    if isinstance(pictures, np.ndarray) and pictures.ndim != 4:
        hint = "; one picture goes to session()" if pictures.ndim == 3 else ""
        raise ShapeError(f"pictures: must have shape (N, H, W, C), got {pictures.shape}{hint}")
    return pictures


def check_picture(picture: object, image: ImageSpec) -> NDArray[np.uint8]:
    """`picture` itself, if it is what `image` says: `(H, W, C)`, uint8.

    Strides do not matter: views, Fortran order and read-only arrays are taken as they are.

    Raises:
        DTypeError: it is no array, or not of uint8.
        ShapeError: it has not three axes, no pixels, other channels, or not the fixed size.
    """
    if not isinstance(picture, np.ndarray):
        raise DTypeError(
            f"picture: must be a numpy array, got {type(picture).__name__!r}; "
            "edgeprep.pictures.read_picture reads files"
        )
    if picture.dtype != np.uint8:
        raise DTypeError(
            f"picture: must have dtype uint8, values 0 to 255, got {picture.dtype.name!r}; "
            "scaling and normalization are inside the bundle"
        )
    shape = picture.shape
    wanted = (image.height, image.width, image.channels)
    if (
        len(shape) == 3
        and shape[2] == image.channels
        and shape[0] == (image.height or shape[0])
        and shape[1] == (image.width or shape[1])
        and shape[0]
        and shape[1]
    ):
        return picture
    raise ShapeError(f"picture: must have shape {_spell(wanted)}, got {shape}{_hint(shape, image)}")


def _spell(wanted: tuple[int | None, int | None, int]) -> str:
    height, width, channels = wanted
    return f"({height or 'height'}, {width or 'width'}, {channels})"


def _hint(shape: tuple[int, ...], image: ImageSpec) -> str:
    if len(shape) == 4:
        return "; a batch goes to session.batch()"
    if len(shape) == 3 and shape[0] == image.channels and shape[2] != image.channels:
        return "; layout is HWC, this looks like CHW"
    if len(shape) == 2:
        return "; a picture of one channel has a last axis of length 1"
    if len(shape) == 3 and shape[2] == 4:
        return "; drop the alpha channel"
    return ""


def from_rgb(picture: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """An RGB picture, as files give it, in the colour order that `image` asks for.

    Args:
        picture: `(H, W, 3)`, or `(H, W, 1)` for grey, uint8.
        image: what a session takes.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or image.color == "rgb":
        return picture
    chain = Chain(input=ImageSpec(color="rgb"), stages=(Color(to=image.color),))
    return np.asarray(chain.prepare(picture)[0])
