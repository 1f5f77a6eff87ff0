"""Labels in any script can be read, or are spelled in letters that are there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from edgeprep.drawing import draw, fonts
from edgeprep.drawing.fonts import readable
from edgeprep.marks import Rectangle


@pytest.fixture(autouse=True)
def _forget_fonts() -> Iterator[None]:
    caches = (fonts._file_for, fonts._say_so)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


@pytest.fixture
def without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_FILES", ())
    monkeypatch.delenv("EDGEPREP_FONT", raising=False)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("dog 0.91", "dog 0.91"),
        ("Größe", "Grosse"),
        ("café №1", "cafe No1"),
        ("Łódź 3×3", "Lodz 3x3"),
        ("犬 0.91", "? 0.91"),
    ],
)
def test_without_a_font_words_are_spelled_in_plain_letters(
    without_fonts: None, caplog: pytest.LogCaptureFixture, text: str, spelled: str
) -> None:
    assert [readable(text), readable(text)] == [spelled] * 2
    messages = [record.getMessage() for record in caplog.records]
    unusual = "".join(sorted({each for each in text if not each.isascii()}))
    said = (
        f"drawing: no font here has {unusual!r}, which are spelled otherwise;"
        " EDGEPREP_FONT may name one"
    )
    assert messages == [said] * (text != spelled)


def test_a_font_that_has_the_letters_is_taken(
    without_fonts: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Stands for a font of some machine: it has two letters that Pillow's own lacks.
    class Cyrillic:
        def getmask(self, text: str) -> object:
            return ImageFont.load_default(size=16).getmask({"д": "d", "а": "a"}.get(text, "\0"))

    monkeypatch.setenv("EDGEPREP_FONT", "cyrillic.ttf")
    monkeypatch.setattr(fonts, "_of_height", lambda pixels, file: Cyrillic() if file else None)
    assert readable("да") == "да"
    assert readable("нет") == "???"


def test_a_font_that_is_not_there_is_none(
    without_fonts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_FONT", "/nowhere/at/all.ttf")
    assert readable("犬") == "?"


def test_labels_that_differ_look_different(without_fonts: None) -> None:
    picture = np.zeros((300, 300, 3), np.uint8)

    def drawn(label: str) -> bytes:
        return draw(picture, (Rectangle((50, 50, 250, 250), label, (213, 94, 0)),)).tobytes()

    assert drawn("à") != drawn("é")
