"""The twin of films that needs PyAV: pictures of decoded frames, turned upright."""

from typing import Any

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

__all__ = ["is_turned", "picture_of"]

Matrix = tuple[int, int, int, int]

_ONE = 1 << 16
_UPRIGHT: Matrix = (1, 0, 0, 1)


def picture_of(frame: VideoFrame) -> NDArray[np.uint8]:
    """The picture of `frame` as it is meant to be seen, `(H, W, 3)`, RGB.

    Source: ISO/IEC 14496-12, the matrix of the track header, of which quarter turns and mirrors
    are followed; anything else is left as it is.
    """
    pixels: Any = frame.to_ndarray(format="rgb24")
    a, b, c, d = _matrix(frame)
    if a == d == 0:
        # x comes from y, and y from x.
        pixels = pixels.swapaxes(0, 1)
        a, d = c, b
    if d < 0:
        pixels = pixels[::-1]
    if a < 0:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def is_turned(frame: VideoFrame) -> bool:
    """Whether `frame` is stored on its side."""
    a, _, _, d = _matrix(frame)
    return a == d == 0


def _matrix(frame: VideoFrame) -> Matrix:
    """The signs of the matrix that brings stored pixels upright: x' = a x + c y, y' = b x + d y."""
    side = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return _UPRIGHT
    values = np.frombuffer(side, "=i4")  # type: ignore[call-overload]
    a, b, c, d = (int(value) for value in values[[0, 1, 3, 4]])
    stays = {abs(a), abs(d)} == {_ONE} and b == c == 0
    turns = {abs(b), abs(c)} == {_ONE} and a == d == 0
    if stays or turns:
        return _sign(a), _sign(b), _sign(c), _sign(d)
    return _UPRIGHT


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
