"""Pictures side by side, each with a caption."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edgeprep.stages.walk import Step, as_pixels

__all__ = ["contact_sheet"]

_CELL = 256  # pixels, of the longer side of every picture
_MARGIN = 8
_FONT = 14
_COLUMNS = 5
_BACKGROUND, _INK = (24, 24, 24), (255, 255, 255)


def contact_sheet(steps: Sequence[Step], captions: Sequence[str]) -> NDArray[np.uint8]:
    """`(H, W, 3)`, uint8: every step in a cell, five in a row, with its caption below."""
    font = ImageFont.load_default(size=_FONT)
    columns = min(len(steps), _COLUMNS)
    rows = -(-len(steps) // columns)
    cell = _CELL + 2 * _MARGIN
    high = cell + 3 * _FONT
    sheet = Image.new("RGB", (columns * cell, rows * high), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, (step, caption) in enumerate(zip(steps, captions, strict=True)):
        left, top = index % columns * cell + _MARGIN, index // columns * high + _MARGIN
        picture = _fit(as_pixels(step))
        sheet.paste(picture, (left, top))
        draw.multiline_text((left, top + _CELL + _MARGIN // 2), caption, font=font, fill=_INK)
    return np.asarray(sheet)


def _fit(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture at the size of a cell; small ones keep their pixels visible."""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).convert("RGB")
    ratio = _CELL / max(image.size)
    size = tuple(max(round(length * ratio), 1) for length in image.size)
    how = Image.Resampling.NEAREST if ratio > 1 else Image.Resampling.BOX
    return image.resize((size[0], size[1]), how)
