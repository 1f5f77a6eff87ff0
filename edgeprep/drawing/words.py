"""Words in pictures, and beside them."""

from PIL import Image, ImageDraw

from edgeprep.drawing.fonts import Font, letters, readable

__all__ = ["band_inside", "fitting_height", "shortened", "strip_below"]

_MARGIN = 6
_LEAST_FONT = 8  # pixels; smaller letters cannot be told apart
_GROUND, _INK = (24, 24, 24), (255, 255, 255)


def strip_below(image: Image.Image, text: str) -> Image.Image:
    """`image` with `text` on a dark strip below it, wider than the picture if need be."""
    text = readable(text)
    font = letters(max(12, image.width // 24), text)
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
    text = readable(text)
    lines = text.split("\n")
    # Letters of all lines, of a height at which the longest one fits.
    longest = max(lines, key=len)
    pixels = fitting_height(longest, image.size, room)
    font = letters(pixels, text)
    text = "\n".join(shortened(line, font, room) for line in lines)
    pen = ImageDraw.Draw(image)
    box = pen.multiline_textbbox((0, 0), text, font=font)
    top = max(image.height - int(box[3]) - 2 * _MARGIN, 0)
    pen.rectangle((0, top, image.width, image.height), fill=_GROUND)
    pen.multiline_text((_MARGIN, top + _MARGIN), text, font=font, fill=_INK)
    return image


def fitting_height(text: str, size: tuple[int, int], room: int) -> int:
    """The height of letters for a picture of this width and height, less where `text` needs it.

    Args:
        text: one line.
        size: of the picture, in pixels.
        room: how wide the line may be, in pixels.
    """
    pixels = max(12, min(size) // 30)
    while pixels > _LEAST_FONT and letters(pixels, text).getlength(text) > room:
        pixels -= 1
    return pixels


def shortened(text: str, font: Font, room: int) -> str:
    """As much of the line `text` as is at most `room` pixels wide, with dots where it was cut."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..." if text else ""
