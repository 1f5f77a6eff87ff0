"""Results drawn into pictures."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_text"]

_MARGIN = 6
_SMALLEST_SIDE = 240  # below it a line of text does not fit


def draw_text(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """`picture` `(H, W, 3)`, enlarged if it is tiny, with `text` on a dark strip below it."""
    image = Image.fromarray(picture)
    factor = -(-_SMALLEST_SIDE // min(image.size))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    font = ImageFont.load_default(size=max(12, image.width // 24))
    box = ImageDraw.Draw(image).multiline_textbbox((0, 0), text, font=font)
    width = max(image.width, int(box[2]) + 2 * _MARGIN)
    canvas = Image.new("RGB", (width, image.height + int(box[3]) + 2 * _MARGIN), (24, 24, 24))
    canvas.paste(image, (0, 0))
    origin = (_MARGIN, image.height + _MARGIN)
    ImageDraw.Draw(canvas).multiline_text(origin, text, font=font, fill=(255, 255, 255))
    return np.asarray(canvas)
