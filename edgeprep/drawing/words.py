"""Words in pictures, and beside them."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont

__all__ = ["band_inside", "fitting_font", "letters", "shortened", "strip_below"]

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_MARGIN = 6
_LEAST_FONT = 8  # pixels; smaller letters cannot be told apart
_GROUND, _INK = (24, 24, 24), (255, 255, 255)


def strip_below(image: Image.Image, text: str) -> Image.Image:
    """`image` with `text` on a dark strip below it, wider than the picture if need be."""
    font = letters(max(12, image.width // 24))
    box = ImageDraw.Draw(image).multiline_textbbox((0, 0), text, font=font)
    width = max(image.width, int(box[2]) + 2 * _MARGIN)
    canvas = Image.new("RGB", (width, image.height + int(box[3]) + 2 * _MARGIN), _GROUND)
    canvas.paste(image, (0, 0))
    origin = (_MARGIN, image.height + _MARGIN)
    ImageDraw.Draw(canvas).multiline_text(origin, text, font=font, fill=_INK)
    return canvas


def band_inside(image: Image.Image, text: str) -> Image.Image:
    """`image`, of the same size, with `text` on a dark band along its lower side."""
    room = image.width - 2 * _MARGIN
    lines = text.split("\n")
    font = fitting_font(max(lines, key=len), image.size, room)
    text = "\n".join(shortened(line, font, room) for line in lines)
    pen = ImageDraw.Draw(image)
    box = pen.multiline_textbbox((0, 0), text, font=font)
    top = max(image.height - int(box[3]) - 2 * _MARGIN, 0)
    pen.rectangle((0, top, image.width, image.height), fill=_GROUND)
    pen.multiline_text((_MARGIN, top + _MARGIN), text, font=font, fill=_INK)
    return image


def fitting_font(text: str, size: tuple[int, int], room: int) -> Font:
    """Letters for a picture of this width and height, smaller where `text` needs it.

    Args:
        text: one line.
        size: of the picture, in pixels.
        room: how wide the line may be, in pixels.
    """
    pixels = max(12, min(size) // 30)
    while pixels > _LEAST_FONT and letters(pixels).getlength(text) > room:
        pixels -= 1
    return letters(pixels)


@cache
def letters(pixels: int) -> Font:
    """Pillow's own letters, of this height; reading them takes longer than drawing with them."""
    return ImageFont.load_default(size=pixels)


def shortened(text: str, font: Font, room: int) -> str:
    """As much of the line `text` as is at most `room` pixels wide, with dots where it was cut."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..." if text else ""
