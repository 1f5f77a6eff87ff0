"""Boxes and their labels."""

from PIL import Image, ImageDraw

from edgeprep.drawing.fonts import letters, readable
from edgeprep.drawing.ink import ink_on
from edgeprep.drawing.words import fitting_height, shortened
from edgeprep.marks import Rectangle

__all__ = ["draw_rectangle", "label_at", "line_width"]

# One pixel of line for so many of the picture's shorter side.
_PIXELS_A_LINE = 240
_PADDING = 2


def draw_rectangle(image: Image.Image, mark: Rectangle, factor: int) -> None:
    """Draw a box into `image`, which is `factor` times as large as the picture it is of.

    The line has a seam of black or white around it, so that it is seen on its own colour too, and
    the label lies on a ground of that colour, inside the picture.
    """
    width = line_width(image.size)
    left, top, right, bottom = _corners(mark, factor, image.size)
    pen = ImageDraw.Draw(image)
    ink = ink_on(mark.color)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=ink, width=width + 2)
    pen.rectangle((left, top, right, bottom), outline=mark.color, width=width)
    if not mark.text:
        return
    room = image.width - 2 * _PADDING
    text = readable(mark.text)
    font = letters(fitting_height(text, image.size, room), text)
    text = shortened(text, font, room)
    ascent = pen.textbbox((0, 0), text, font=font)
    size = int(ascent[2]) + 2 * _PADDING, int(ascent[3]) + 2 * _PADDING
    x, y = label_at((left, top, right, bottom), size, image.size)
    pen.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), fill=mark.color)
    pen.text((x + _PADDING, y + _PADDING), text, font=font, fill=ink)


def line_width(size: tuple[int, int]) -> int:
    """How many pixels wide a box is drawn in a picture of this width and height."""
    return max(1, round(min(size) / _PIXELS_A_LINE))


def label_at(
    corners: tuple[int, int, int, int], label: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int]:
    """Where the upper left corner of a label lies: above its box, or in it where that is outside.

    Args:
        corners: of the box: left, top, right, bottom.
        label: its width and height.
        size: the width and height of the picture.
    """
    left, top = corners[:2]
    y = top - label[1] if top >= label[1] else top
    return _between(left, size[0] - label[0]), _between(y, size[1] - label[1])


def _corners(mark: Rectangle, factor: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The first and the last pixel of the box, across and down, inside the picture."""
    left, top, right, bottom = (round(value * factor) for value in mark.corners)
    left, top = _between(left, size[0] - 1), _between(top, size[1] - 1)
    # A box reaches from the left of its first pixel to the right of its last.
    right, bottom = _between(right - 1, size[0] - 1), _between(bottom - 1, size[1] - 1)
    return left, top, max(left, right), max(top, bottom)


def _between(value: int, greatest: int) -> int:
    return max(min(value, greatest), 0)
