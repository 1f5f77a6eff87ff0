"""Marks drawn into a picture."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeprep.drawing.boxes import draw_rectangle
from edgeprep.drawing.words import band_inside, strip_below
from edgeprep.errors import ShapeError
from edgeprep.marks import Mark, Overlay, Rectangle, Replacement, Text

__all__ = ["draw", "marks_of"]

Words = Literal["below", "inside"]
Picture = NDArray[np.uint8]

_SMALLEST_SIDE = 240  # below it a line of text does not fit
# Beyond, nothing is enlarged: a strip of one row would fill the memory, and no film is as wide.
_LONGEST_SIDE = 4096
_GAP = 4  # pixels between pictures that stand side by side
_DARK = (24, 24, 24)


def marks_of(result: Any) -> tuple[Mark, ...]:
    """What `result` says is to be drawn; its words, where it says nothing."""
    marks = getattr(result, "marks", None)
    return (Text(str(result)),) if marks is None else tuple(marks())


def draw(picture: Picture, marks: Sequence[Mark], *, words: Words = "below") -> Picture:
    """`picture` with `marks`, in their order; boxes and words lie on top.

    A tiny picture is enlarged by a whole number where there are boxes or words, so that they can
    be read.

    Args:
        picture: `(H, W, 3)`, uint8, RGB.
        marks: what is to be seen.
        words: whether words about the whole stand "below" the picture, as wide as they are, or
            "inside" it, so that all pictures of one size stay of one size, as those of a film.

    Returns:
        `(H', W', 3)`, uint8.

    Raises:
        ShapeError: an overlay has not the size of the picture.
    """
    for mark in marks:
        if isinstance(mark, Overlay):
            picture = _overlay(picture, mark)
    replacements = [mark for mark in marks if isinstance(mark, Replacement)]
    rectangles = [mark for mark in marks if isinstance(mark, Rectangle)]
    texts = [mark.text for mark in marks if isinstance(mark, Text)]
    image = Image.fromarray(np.ascontiguousarray(picture))
    # Of an empty list of objects, too, as of every other frame of a film.
    readable = rectangles or texts or not marks
    factor = -(-_SMALLEST_SIDE // min(image.size)) if readable else 1
    factor = max(min(factor, _LONGEST_SIDE // max(image.size)), 1)
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    for mark in rectangles:
        draw_rectangle(image, mark, factor)
    if replacements:
        image = _side_by_side(image, replacements)
        texts = [" | ".join(["before", *(mark.name for mark in replacements)]), *texts]
    if texts:
        text = "\n".join(texts)
        image = strip_below(image, text) if words == "below" else band_inside(image, text)
    return np.asarray(image)


def _overlay(picture: Picture, mark: Overlay) -> Picture:
    if mark.colors.shape != picture.shape or mark.opacity.shape != picture.shape[:2]:
        sizes = f"{mark.colors.shape} and {mark.opacity.shape}"
        raise ShapeError(
            f"overlay: must have the size of its picture, {picture.shape}, got {sizes}"
        )
    # NOTE: Pillow mixes in a sixth of the time that arrays take, and is off by one level at most.
    shares = np.clip(mark.opacity.astype(np.float32), 0.0, 1.0)
    mask = Image.fromarray((shares * 255 + 0.5).astype(np.uint8))
    colors, below = (Image.fromarray(np.ascontiguousarray(each)) for each in (mark.colors, picture))
    return np.asarray(Image.composite(colors, below, mask))


def _side_by_side(image: Image.Image, replacements: Iterable[Replacement]) -> Image.Image:
    """`image` and what stands beside it, all as high as the highest."""
    pictures = [image]
    for mark in replacements:
        pixels = np.asarray(mark.picture)
        grey = pixels.ndim == 3 and pixels.shape[2] == 1
        pixels = np.repeat(pixels, 3, axis=2) if grey else pixels
        pictures.append(Image.fromarray(np.ascontiguousarray(pixels)))
    height = max(each.height for each in pictures)
    pictures = [_of_height(each, height) for each in pictures]
    width = sum(each.width for each in pictures) + _GAP * (len(pictures) - 1)
    canvas = Image.new("RGB", (width, height), _DARK)
    left = 0
    for each in pictures:
        canvas.paste(each, (left, 0))
        left += each.width + _GAP
    return canvas


def _of_height(image: Image.Image, height: int) -> Image.Image:
    if image.height == height:
        return image
    width = max(round(image.width * height / image.height), 1)
    if width > max(_LONGEST_SIDE, image.width):
        return image
    # The pixels of what was small stay visible: nothing is made better but by the network.
    return image.resize((width, height), Image.Resampling.NEAREST)
