"""What a session takes, checked before any engine sees it."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DTypeError, ShapeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.picture import check_picture
from edgeprep.tensors import ImageSpec

__all__ = ["check_batch", "check_clip", "from_rgb"]


def check_clip(frames: object, image: ImageSpec, where: str = "clip") -> NDArray[np.uint8]:
    """`frames` itself, if it is a clip as `image` says: `(frames, H, W, C)`, uint8.

    Args:
        frames: anything.
        image: what it must be.
        where: it is, for messages.

    Raises:
        DTypeError: it is no array, or not of uint8.
        ShapeError: it has not four axes, another number of frames, or frames of a wrong shape.
    """
    if not isinstance(frames, np.ndarray):
        rule = "must be a numpy array (frames, H, W, C)"
        raise DTypeError(f"{where}: {rule}, got {type(frames).__name__!r}")
    if frames.ndim != 4 or len(frames) != image.batch:
        hint = "; frames of a camera go to session.stream()" if frames.ndim == 3 else ""
        rule = f"must have shape ({image.batch}, H, W, C)"
        raise ShapeError(f"{where}: {rule}, got {frames.shape}{hint}")
    check_picture(frames[0], image, f"{where}[0]")
    return frames if type(frames) is np.ndarray else frames.view(np.ndarray)


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
        hints = {3: "; one picture goes to session()", 5: "; clips come in a list"}
        hint = hints.get(pictures.ndim, "")
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
