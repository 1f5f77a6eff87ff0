"""What samples are held against: one class, several, boxes, a mask, a picture, a map.

One class is its number, an `int`. The others are values of this module, in pixels of the picture
that they belong to. What a network is taught is `seen` in the picture that the network sees.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeprep.errors import PluginError, RecipeError, ShapeError
from edgeprep.geometry import Frame

__all__ = [
    "IGNORED",
    "UNTOLD",
    "Boxes",
    "Classes",
    "Map",
    "Mask",
    "Picture",
    "Truth",
    "TruthKind",
    "as_seen",
    "content_of",
]

TruthKind = Literal["class", "classes", "boxes", "mask", "picture", "map"]

# A pixel of a mask that counts neither for nor against anybody: as in Pascal VOC and Cityscapes.
IGNORED = 255
# The class of what is in a picture, and yet is not to be found, nor to be missed.
UNTOLD = -2


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The classes of one picture, of which there may be any number.

    Attributes:
        present: `(classes,)`, bool.
    """

    present: NDArray[np.bool_]

    def seen(self, frame: Frame | None = None) -> NDArray[np.float32]:
        """`(classes,)`, 1 for those that are there and 0 for the others, wherever that is."""
        return self.present.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The objects of one picture.

    Attributes:
        corners: `(objects, 4)`, float64: least x, least y, greatest x, greatest y in pixels; the
            first pixel reaches from 0 to 1.
        classes: `(objects,)`, int64.
        crowd: `(objects,)`, bool: whether the box is around many that are not told apart. What is
            found there counts neither for nor against anybody.
        areas: `(objects,)`, float64: how many pixels each object has, which its box may not say.
    """

    corners: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        corners: ArrayLike,
        classes: ArrayLike,
        crowd: ArrayLike | None = None,
        areas: ArrayLike | None = None,
    ) -> "Boxes":
        """Boxes of anything that numpy can read; areas are those of the boxes where none are given.

        Raises:
            ShapeError: the arrays are not of one length, or corners are not four.
        """
        corners = np.asarray(corners, np.float64).reshape(-1, 4)
        count = len(corners)
        # What is too large to be true is refused where a picture is known.
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.maximum(corners[:, 2:] - corners[:, :2], 0.0).prod(axis=1)
        given = cls(
            corners,
            np.asarray(classes, np.int64).reshape(-1),
            np.zeros(count, np.bool_) if crowd is None else np.asarray(crowd, np.bool_).reshape(-1),
            whole if areas is None else np.asarray(areas, np.float64).reshape(-1),
        )
        lengths = [len(each) for each in (given.classes, given.crowd, given.areas)]
        if set(lengths) != {count}:
            raise ShapeError(f"boxes: all arrays must have {count} rows, got {lengths!r}")
        return given

    def __len__(self) -> int:
        return len(self.classes)

    def seen(self, frame: Frame) -> NDArray[np.float32]:
        """`(objects, 5)`: class, least x, least y, greatest x, greatest y in the network's picture.

        Boxes are cut at its border. Those of crowds are of class -2, and those of objects of which
        the picture has less than a fifth: nobody could tell what they are, and what a network finds
        there is neither right nor wrong.
        """
        height, width = frame.seen
        corners = frame.back[0].inverse().boxes(self.corners)
        cut = np.clip(corners, 0.0, [width, height, width, height])
        whole, left = (
            np.maximum(each[:, 2:] - each[:, :2], 0.0).prod(axis=1) for each in (corners, cut)
        )
        counts = (left >= _LEAST_SHARE * whole) & ~self.crowd
        classes, chosen = np.where(counts, self.classes, UNTOLD), left > 0
        rows = np.concatenate((classes[chosen, None], cut[chosen]), axis=1)
        return rows.astype(np.float32)


_LEAST_SHARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The class of every pixel.

    Attributes:
        classes: `(H, W)`, uint8; 255 where no class is asked for.
    """

    classes: NDArray[np.uint8]

    def seen(self, frame: Frame) -> NDArray[np.uint8]:
        """`(height, width)` of the network's picture: of every pixel's centre, 255 outside."""
        return _nearest(self.classes, frame, IGNORED)


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A number for every pixel, such as its distance.

    Attributes:
        values: `(H, W)`, float32; NaN where it is not known.
    """

    values: NDArray[np.float32]

    def seen(self, frame: Frame) -> NDArray[np.float32]:
        """`(height, width)` of the network's picture: of every pixel's centre, NaN outside."""
        return _nearest(self.values, frame, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a picture is to become.

    Attributes:
        levels: `(H, W, C)`, uint8; H and W are those of the picture times a whole number.
    """

    levels: NDArray[np.uint8]

    def seen(self, frame: Frame) -> NDArray[Any]:
        """The same part of it, at the same scale, pixel by pixel: uint8.

        Where the network looks beyond the picture, as at what is filled up, it is of the same
        levels in float32, and NaN outside.

        Raises:
            RecipeError: the network's picture is larger or smaller than that part. Interpolated
                pixels are no truth, and of the pixels themselves some would be left out, which
                teaches a network to invent jagged edges.
        """
        if not frame.keeps_size:
            rule = "must leave pixels as large as they are, where a picture is learned"
            across, down = (
                1.0 / max(map(abs, row[:2])) for row in (frame.back[0].x, frame.back[0].y)
            )
            raise RecipeError(
                f"preprocess, augment: {rule}, got one that is resized by {across:.4g} and "
                f"{down:.4g}; leave out what resizes"
            )
        if frame.is_within:
            return _nearest(self.levels, frame, 0)
        return _nearest(self.levels.astype(np.float32), frame, np.nan)


Truth: TypeAlias = int | Classes | Boxes | Mask | Map | Picture


def content_of(truth: Truth | None) -> bytes:
    """Bytes that differ where truths do."""
    if truth is None or isinstance(truth, int):
        return repr(truth).encode()
    arrays = [getattr(truth, name) for name in truth.__slots__]
    return b"".join(repr((array.dtype, array.shape)).encode() + array.tobytes() for array in arrays)


def as_seen(truth: Truth, frame: Frame | None) -> NDArray[Any]:
    """The array that a network is taught, of a truth about the picture that `frame` describes.

    Args:
        truth: of a sample.
        frame: where the network's picture lies; None where truths do not lie in pictures.

    Raises:
        PluginError: they do, and the task does not say so.
    """
    if isinstance(truth, int):
        return np.asarray(truth, np.int64)
    if isinstance(truth, Classes):
        return truth.seen(frame)
    if frame is None:
        rule = "a task whose truths lie in pictures must be spatial"
        raise PluginError(f"task: {rule}, got one that is not, and {type(truth).__name__}")
    return truth.seen(frame)


def _nearest(values: NDArray[Any], frame: Frame, outside: float) -> NDArray[Any]:
    """`values` at the centres of the pixels that a network sees, `outside` beyond the picture.

    Where `values` are finer than the picture, so is what comes back.
    """
    scale = len(values) // frame.height
    height, width = (length * scale for length in frame.seen)
    down, across = np.mgrid[:height, :width].astype(np.float64)
    points = np.stack((across + 0.5, down + 0.5), axis=-1) / scale
    places = np.floor(frame.back[0].points(points) * scale).astype(np.int64)
    x, y = places[..., 0], places[..., 1]
    inside = (x >= 0) & (y >= 0) & (x < values.shape[1]) & (y < values.shape[0])
    taken = values[np.where(inside, y, 0), np.where(inside, x, 0)]
    return np.where(inside.reshape(inside.shape + (1,) * (values.ndim - 2)), taken, outside).astype(
        values.dtype
    )
