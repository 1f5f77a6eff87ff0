"""Letters to write with: Pillow's own, or a font of this machine that has what they lack."""

import logging
import os
from collections.abc import Iterator
from functools import cache
from unicodedata import combining, normalize

from PIL import ImageFont

__all__ = ["Font", "letters", "readable"]

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

# Fonts with letters of many scripts, as Linux, macOS and Windows have them, by their files.
_FILES = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "Arial Unicode.ttf", "arialuni.ttf"),
    *("arial.ttf", "msyh.ttc", "msgothic.ttc", "malgun.ttf"),
)
_MISSING = "\U0010ffff"  # a character that no font has
_SIZE = 16  # for comparing characters; any will do
# What has no accent that could be left out.
_SPELLED = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "×": "x", "–": "-"})


def letters(pixels: int, text: str = "") -> Font:
    """Letters of this height, in which all of `text` can be written where there are such."""
    return _of_height(pixels, _file_for(_unusual(text)))


def readable(text: str) -> str:
    """`text` in letters that this machine has: without accents where need be, "?" at last."""
    unusual = _unusual(text)
    if not unusual or _file_for(unusual) is not None:
        return text
    plain = normalize("NFKD", text.translate(_SPELLED))
    spelled = "".join(
        character if character.isascii() else "?" for character in plain if not combining(character)
    )
    _say_so(unusual)
    return spelled


def _unusual(text: str) -> frozenset[str]:
    return frozenset(character for character in text if not character.isascii())


@cache
def _file_for(characters: frozenset[str]) -> str | None:
    """The first font that has them; None where there is none, or any has them."""
    if not characters:
        return None
    for file in _files():
        try:
            font = _of_height(_SIZE, file)
        except OSError:
            continue
        missing = _picture(font, _MISSING)
        if all(_picture(font, character) != missing for character in characters):
            return file
    return None


def _files() -> Iterator[str]:
    chosen = os.environ.get("EDGEPREP_FONT")
    if chosen:
        yield chosen
    yield from _FILES


# Reading letters takes longer than drawing with them.
@cache
def _of_height(pixels: int, file: str | None) -> Font:
    if file is None:
        return ImageFont.load_default(size=pixels)
    return ImageFont.truetype(file, pixels)


def _picture(font: Font, character: str) -> tuple[object, bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


# Once for each label, whatever stands beside it.
@cache
def _say_so(characters: frozenset[str]) -> None:
    message = (
        "drawing: no font here has %r, which are spelled otherwise; EDGEPREP_FONT may name one"
    )
    logging.getLogger("edgeprep").warning(message, "".join(sorted(characters)))
