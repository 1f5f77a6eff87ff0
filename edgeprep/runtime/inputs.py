"""What a session takes, checked before any engine sees it."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DTypeError, ShapeError
from edgeprep.stages.chain import Chain
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

    Planes are `(H · 3 / 2, W, 1)`, H and W even.

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
    if (
        len(shape) == 3
        and shape[2] == image.channels
        and shape[0] == (image.rows or shape[0])
        and shape[1] == (image.width or shape[1])
        and shape[0]
        and shape[1]
        and not (image.is_planar and (shape[0] % 3 or shape[1] % 2))
    ):
        return picture
    raise ShapeError(f"picture: must have shape {_spell(image)}, got {shape}{_hint(shape, image)}")


def _spell(image: ImageSpec) -> str:
    rows = "height * 3 / 2" if image.is_planar else "height"
    shape = f"({image.rows or rows}, {image.width or 'width'}, {image.channels})"
    return f"{shape}, {image.color} with even height and width" if image.is_planar else shape


def _hint(shape: tuple[int, ...], image: ImageSpec) -> str:
    if len(shape) == 4:
        return "; a batch goes to session.batch()"
    if len(shape) == 3 and shape[0] == image.channels and shape[2] != image.channels:
        return "; layout is HWC, this looks like CHW"
    if image.is_planar and len(shape) == 3 and shape[2] == 3:
        return "; this looks like RGB, which edgeprep.runtime.from_rgb brings to planes"
    if len(shape) == 2:
        return "; a picture of one channel has a last axis of length 1"
    if len(shape) == 3 and shape[2] == 4:
        return "; drop the alpha channel"
    return ""


def from_rgb(picture: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """An RGB picture, as files give it, in the colours that `image` asks for.

    Args:
        picture: `(H, W, 3)`, or `(H, W, 1)` for grey, uint8.
        image: what a session takes.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or image.color == "rgb":
        return picture
    # Here and not above: most sessions never see a picture from a file.
    from edgeprep.runtime.planes import rgb_to_planes
    from edgeprep.stages.color import Color

    if image.color == "nv12" or image.color == "i420":
        return rgb_to_planes(picture, image)
    if image.color == "rgba" or image.color == "bgra":
        alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
        order = picture if image.color == "rgba" else picture[..., ::-1]
        return np.concatenate((order, alpha), axis=2)
    chain = Chain(input=ImageSpec(color="rgb"), stages=(Color(to=image.color),))
    return np.asarray(chain.prepare(picture)[0])
