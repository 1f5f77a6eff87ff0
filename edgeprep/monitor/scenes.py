"""Which pictures show something that was not yet there, and which show the same once more."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.monitor.statistics import light_of
from edgeprep.tensors import Color

__all__ = ["Scenes"]

_SIDE = 8  # blocks, each way: what is smaller than an eighth of a picture is a detail of it
_PIXELS = 8  # of a block, each way, whose mean is noisy by an eighth of what they are
# Above it two pictures are of one scene, set by judgement: what noise and light leave is nearly 1,
# what something large that moves leaves is less (tests/monitor/test_scenes.py).
_ALIKE = 0.9
# The deviation of blocks, in levels, below which noise of a camera is as much as what it sees.
_LEAST = 6.0
_STEPS = np.arange(_SIDE * _PIXELS)
# `(8, 64)`: what to multiply rows with for the means of 8 at a time, 5 times as quick as `mean`.
_MEANS = np.kron(np.eye(_SIDE), np.full((1, _PIXELS), 1 / _PIXELS)).astype(np.float32)


class Scenes:
    """Remembers scenes, to tell whether a picture is of another one.

    One thread at a time may use it.

    Args:
        color: what the channels of pictures mean.
        most: how many are remembered at most; then `forget` must be called.
    """

    def __init__(self, color: Color, most: int) -> None:
        self._color: Color = color
        self._seen = np.empty((most, _SIDE * _SIDE), np.float32)
        self._count = 0

    def forget(self) -> None:
        """Every scene is new again."""
        self._count = 0

    def is_new(self, picture: NDArray[np.uint8]) -> bool:
        """Whether it is unlike all that were new before it, however light or dark it is.

        Args:
            picture: `(H, W, C)`, uint8.

        Returns:
            Whether the means of its blocks correlate with those of all scenes by less than 0.9;
            never where there is hardly anything in it, as that would be noise.
        """
        blocks = _blocks(light_of(picture, self._color))
        blocks -= blocks.mean()
        size = float(blocks @ blocks) ** 0.5
        if size < _LEAST * _SIDE:
            return False
        blocks /= size
        if self._count and float((self._seen[: self._count] @ blocks).max()) > _ALIKE:
            return False
        self._seen[self._count] = blocks
        self._count += 1
        return True


def _blocks(light: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`(64,)`: the means of blocks of a plane of any size, of some of their pixels."""
    rows, columns = (_STEPS * length // _STEPS.size for length in light.shape)
    some = light[rows[:, None], columns].astype(np.float32)
    means: NDArray[np.float32] = (_MEANS @ some @ _MEANS.T).ravel()
    return means
