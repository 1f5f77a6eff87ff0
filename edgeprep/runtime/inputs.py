"""What a session takes, checked before any engine sees it."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DTypeError, ShapeError
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec

__all__ = ["check_batch", "from_rgb"]


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
