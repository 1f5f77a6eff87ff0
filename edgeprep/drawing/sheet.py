"""Pictures side by side, each with a caption."""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edgeprep.drawing.fonts import letters, readable
from edgeprep.drawing.words import shortened

__all__ = ["Sheet"]

_MARGIN = 8
_FONT = 14
_BACKGROUND, _INK = (24, 24, 24), (255, 255, 255)


class Sheet:
    """A picture of many small ones, filled from left to right and from top to bottom.

    Args:
        cells: how many pictures there will be at most.
        columns: how many of them side by side.
        cell: pixels of the longer side of each.
    """

    def __init__(self, cells: int, *, columns: int, cell: int = 256) -> None:
        self._columns = min(cells, columns)
        self._cell = cell
        self._across, self._down = cell + 2 * _MARGIN, cell + 2 * _MARGIN + 3 * _FONT
        size = (self._columns * self._across, ceil(cells / self._columns) * self._down)
        self._image = Image.new("RGB", size, _BACKGROUND)
        self._filled = 0

    def add(self, picture: NDArray[np.uint8], caption: str) -> None:
        """Put `picture`, `(H, W, 3)` or `(H, W, 1)`, uint8, into the next cell.

        Args:
            picture: scaled to the cell; small ones keep their pixels visible.
            caption: a line or two, cut where they are too long.
        """
        row, column = divmod(self._filled, self._columns)
        left, top = column * self._across + _MARGIN, row * self._down + _MARGIN
        self._image.paste(_fit(picture, self._cell), (left, top))
        caption = readable(caption)
        font = letters(_FONT, caption)
        lines = [shortened(line, font, self._cell) for line in caption.split("\n")]
        where = (left, top + self._cell + _MARGIN // 2)
        pen = ImageDraw.Draw(self._image)
        pen.multiline_text(where, "\n".join(lines), font=font, fill=_INK)
        self._filled += 1

    def pixels(self) -> NDArray[np.uint8]:
        """What is in it now: `(H, W, 3)`."""
        return np.array(self._image)


def _fit(pixels: NDArray[np.uint8], cell: int) -> Image.Image:
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).convert("RGB")
    ratio = cell / max(image.size)
    width, height = (max(round(length * ratio), 1) for length in image.size)
    how = Image.Resampling.NEAREST if ratio > 1 else Image.Resampling.BOX
    return image.resize((width, height), how)
