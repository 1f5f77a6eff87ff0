"""Where the pixels of one picture lie in another: what takes detections back to the camera."""

from msgspec import Struct
from numpy import asarray, clip, float64, stack
from numpy.typing import ArrayLike, NDArray

from edgeprep.errors import ShapeError

__all__ = ["IDENTITY", "Affine", "Frame"]

Row = tuple[float, float, float]

# In pixels.
_ROUNDING = 1e-6
# Where a box has the x and y of its corners.
_CORNERS = [[0, 1], [0, 3], [2, 1], [2, 3]]


class Affine(Struct, frozen=True):
    """A map of points `(x, y)` in pixels to `row @ (x, y, 1)` for each of its two rows.

    The first pixel reaches from 0 to 1 and has its centre at 0.5, so that a picture of width W
    reaches from 0 to W.

    Attributes:
        x: the weights of x, of y and of 1 in the new x.
        y: those in the new y.
    """

    x: Row
    y: Row

    @classmethod
    def scaled(cls, across: float, down: float, x: float = 0.0, y: float = 0.0) -> "Affine":
        """The map that stretches by `across` and `down`, then moves by `x` and `y`."""
        return cls((across, 0.0, x), (0.0, down, y))

    def after(self, first: "Affine") -> "Affine":
        """The map that does `first`, then this one."""
        return Affine(_row(self.x, first), _row(self.y, first))

    def inverse(self) -> "Affine":
        """The map that undoes this one, which must not be flat."""
        (a, b, e), (c, d, f) = self.x, self.y
        area = a * d - b * c
        return Affine(
            (d / area, -b / area, (b * f - d * e) / area),
            (-c / area, a / area, (c * e - a * f) / area),
        )

    def points(self, points: ArrayLike) -> NDArray[float64]:
        """`(…, 2)`, x and y in pixels, to the same shape, float64.

        Raises:
            ShapeError: the last axis has another length.
        """
        given = _with_last(points, 2, "points")
        x, y = given[..., 0], given[..., 1]
        return stack([a * x + b * y + c for a, b, c in (self.x, self.y)], axis=-1)

    def boxes(self, boxes: ArrayLike) -> NDArray[float64]:
        """`(…, 4)`, least x, least y, greatest x, greatest y, to the same around the mapped boxes.

        Larger than those where the map turns by other than quarters; float64.

        Raises:
            ShapeError: the last axis has another length.
        """
        given = _with_last(boxes, 4, "boxes")
        # All four corners: of a box that is turned, two may lie above one another.
        corners = self.points(given[..., _CORNERS])
        both = corners.min(axis=-2), corners.max(axis=-2)
        return stack(both, axis=-2).reshape(given.shape)


IDENTITY = Affine((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


class Frame(Struct, frozen=True):
    """One picture that came in, and where in it a network looks.

    Attributes:
        height: of the picture, in pixels.
        width: likewise.
        seen: the height and width of what the network sees.
        back: for each picture that the network sees of this one, nearly always one, where in this
            one its pixels are.
    """

    height: int
    width: int
    seen: tuple[int, int]
    back: tuple[Affine, ...]

    @classmethod
    def whole(cls, height: int, width: int) -> "Frame":
        """That of a picture which the network sees as it is."""
        return cls(height, width, (height, width), (IDENTITY,))

    @property
    def keeps_size(self) -> bool:
        """Whether its pixels are as large as the network's, however moved, mirrored or turned."""
        rows = (self.back[0].x, self.back[0].y)
        return all(abs(x) + abs(y) == 1.0 for x, y, _ in rows)

    @property
    def is_within(self) -> bool:
        """Whether the network sees nothing that is beyond this picture."""
        height, width = self.seen
        reached = self.back[0].boxes([0, 0, width, height])
        beyond = (-reached[:2]).max(), (reached[2:] - self._limits[:2]).max()
        return bool(max(beyond) <= _ROUNDING)

    def boxes(self, boxes: ArrayLike, number: int = 0) -> NDArray[float64]:
        """Boxes of the network's picture `number` in this one, cut at its border.

        Args:
            boxes: `(…, 4)`, least x, least y, greatest x, greatest y, in pixels.
            number: which of the pictures that the network sees they are in.
        """
        return clip(self.back[number].boxes(boxes), 0.0, self._limits)

    def behind(self, first: Affine, height: int, width: int) -> "Frame":
        """The same for a picture that became this one.

        Args:
            first: where in that picture this one's pixels are from.
            height: of that picture, in pixels.
            width: likewise.
        """
        back = tuple(first.after(each) for each in self.back)
        return Frame(height, width, self.seen, back)

    @property
    def _limits(self) -> NDArray[float64]:
        return asarray([self.width, self.height, self.width, self.height], float64)


def _row(row: Row, first: Affine) -> Row:
    a, b, c = row
    x, y, one = (a * of_x + b * of_y for of_x, of_y in zip(first.x, first.y, strict=True))
    return x, y, one + c


def _with_last(values: ArrayLike, length: int, name: str) -> NDArray[float64]:
    array = asarray(values, float64)
    if array.shape[-1:] != (length,):
        raise ShapeError(f"{name}: must have shape (…, {length}), got {array.shape!r}")
    return array
