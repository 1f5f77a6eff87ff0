"""What marks look like, held against values worked out by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.drawing import draw, marks_of
from edgeprep.errors import ShapeError
from edgeprep.marks import Mark, Overlay, Rectangle, Replacement, Text, color_of

RED = (213, 94, 0)
GREY = 90


def plain(height: int, width: int, level: int = GREY) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


@dataclass(frozen=True)
class Marked:
    marked: tuple[Mark, ...]

    def marks(self) -> Sequence[Mark]:
        return self.marked


def test_a_result_says_what_is_drawn():
    marks = (Rectangle((0, 0, 2, 2), "a", RED),)
    assert marks_of(Marked(marks)) == marks


def test_of_a_result_without_marks_its_words_are_drawn():
    (mark,) = marks_of(0.5)
    assert isinstance(mark, Text)
    assert mark.text == "0.5"


def test_a_box_is_a_line_with_a_seam_around_what_it_holds():
    drawn = draw(plain(300, 400), [Rectangle((100, 120, 180, 200), "", RED)])
    assert drawn.shape == (300, 400, 3)
    # 300 pixels are one pixel of line, as a seam of black is easier to read on this red. The box
    # reaches from pixel 100 to pixel 179, and from row 120 to row 199.
    row = drawn[160]
    for place, color in ((99, 0), (101, 0), (178, 0), (180, 0)):
        assert row[place].tolist() == [color] * 3
    assert row[100].tolist() == row[179].tolist() == list(RED)
    assert drawn[120, 140].tolist() == drawn[199, 140].tolist() == list(RED)
    untouched = drawn.copy()
    untouched[119:201, 99:181] = GREY
    assert (untouched == GREY).all()
    assert (drawn[122:198, 102:178] == GREY).all()


def test_lines_grow_with_the_picture():
    for side, width in ((240, 1), (480, 2), (1200, 5)):
        drawn = draw(plain(side, side), [Rectangle((50, 50, 150, 150), "", RED)])
        assert (drawn[100, :100] == RED).all(axis=1).sum() == width


@pytest.mark.parametrize("color", [color_of(index) for index in range(8)], ids=str)
@pytest.mark.parametrize("ground", ["black", "white", "its own colour"])
def test_a_box_is_seen_on_any_background(color: tuple[int, int, int], ground: str):
    picture = plain(300, 300, 0 if ground == "black" else 255)
    if ground == "its own colour":
        picture[:] = color
    drawn = draw(picture, [Rectangle((100, 100, 200, 200), "", color)])
    # As far from the ground, at its clearest pixel, as a border of a form has to be (WCAG 1.4.11).
    background = tuple(picture[0, 0].tolist())
    assert max(ratio(tuple(pixel), background) for pixel in drawn[150].tolist()) >= 3.0


@pytest.mark.parametrize("color", [color_of(index) for index in range(8)], ids=str)
def test_a_label_is_read_on_its_ground(color: tuple[int, int, int]):
    drawn = draw(plain(300, 300), [Rectangle((100, 100, 250, 200), "WMWM", color)])
    label = drawn[86:98, 102:130].reshape(-1, 3)
    assert (label == color).all(axis=1).any()
    assert max(ratio(tuple(pixel), color) for pixel in label.tolist()) >= 4.5


def ratio(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast of WCAG 2.2, from its text."""

    def luminance(color: tuple[int, ...]) -> float:
        shares = np.array(color) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


CORNERS = [
    (0, 0, 20, 20),
    (380, 0, 400, 20),
    (380, 280, 400, 300),
    (0, 0, 400, 300),
    (150, 100, 150, 100),
    (-50, -50, -10, -10),
    (390, 299, 1000, 1000),
]


@pytest.mark.parametrize("corners", CORNERS, ids=str)
@pytest.mark.parametrize("text", ["x", "a label that is wider than the picture " * 3])
def test_labels_stay_inside_the_picture(corners: tuple[float, ...], text: str):
    alone = draw(plain(300, 400), [Rectangle(corners, "", RED)])
    drawn = draw(plain(300, 400), [Rectangle(corners, text, RED)])
    label = (drawn == RED).all(axis=2) & ~(alone == RED).all(axis=2)
    rows, columns = np.flatnonzero(label.any(axis=1)), np.flatnonzero(label.any(axis=0))
    assert drawn.shape == (300, 400, 3)
    # A ground as high as letters, of which neither the first nor the last row is cut away.
    assert 12 <= len(rows) <= 24
    assert len(columns) >= (8 if text == "x" else 380)


def test_a_small_picture_is_enlarged_and_its_box_with_it():
    drawn = draw(plain(48, 64), [Rectangle((10, 20, 30, 40), "", RED)])
    # 240 / 48 times.
    assert drawn.shape == (240, 320, 3)
    assert (drawn[120, 50:60] == RED).all(axis=1).tolist() == [True] + [False] * 9
    assert drawn[150, 149].tolist() == list(RED)


def test_a_picture_without_objects_is_as_large_as_one_with_some():
    assert draw(plain(48, 64), []).shape == (240, 320, 3)


def test_colours_are_laid_over_by_their_opacity():
    colors = np.full((2, 3, 3), 200, np.uint8)
    opacity = np.array([[0, 0.5, 1], [0.25, 0, 0]], np.float32)
    drawn = draw(plain(2, 3, 100), [Overlay(colors, opacity)])
    assert drawn[..., 0].tolist() == [[100, 150, 200], [125, 100, 100]]


def test_colours_of_another_size_are_refused():
    overlay = Overlay(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.bool_))
    message = (
        r"^overlay: must have the size of its picture, \(2, 3, 3\), "
        r"got \(2, 2, 3\) and \(2, 2\)$"
    )
    with pytest.raises(ShapeError, match=message):
        draw(plain(2, 3), [overlay])


def test_what_comes_out_stands_beside_what_came_in():
    after = np.arange(300 * 400, dtype=np.uint32).reshape(300, 400, 1).astype(np.uint8)
    before = plain(300, 400)
    drawn = draw(before, [Replacement(after, "restored")])
    assert np.array_equal(drawn[:300, :400], before)
    assert np.array_equal(drawn[:300, 404:804], np.repeat(after, 3, axis=2))
    # Below them is what they are.
    assert drawn.shape[1] == 804
    assert drawn[300:].max() == 255


def test_of_two_sizes_the_smaller_becomes_as_high_as_the_other():
    before = np.zeros((10, 20, 3), np.uint8)
    before[0, 0] = 255
    drawn = draw(before, [Replacement(np.full((30, 60, 3), 7, np.uint8), "larger")])
    assert drawn[:3, :3].min() == 255
    assert drawn[3:30, :60].max() == 0
    assert (drawn[:30, 64:124] == 7).all()


def test_words_stand_below_the_picture_and_leave_it_as_it_is():
    drawn = draw(plain(300, 400), [Text("red (0.92)")])
    assert (drawn[:300] == GREY).all()
    assert drawn.shape[1] == 400
    assert drawn[300:].max() == 255


@pytest.mark.parametrize("text", ["red", "a line that is much too long " * 20, "two\nlines"])
def test_words_inside_leave_a_film_its_size(text: str):
    drawn = draw(plain(300, 400), [Text(text)], words="inside")
    assert drawn.shape == (300, 400, 3)
    assert (drawn[:200] == GREY).all()
    assert drawn[-30:].max() > 200


@pytest.mark.parametrize("words", ["below", "inside"])
def test_a_picture_of_one_pixel_can_be_drawn_into(words: str):
    marks = [Rectangle((0, 0, 1, 1), "a", RED), Text("words")]
    drawn = draw(plain(1, 1), marks, words=words)
    assert drawn.shape[1] == 240


def test_a_picture_that_may_not_be_written_is_not_changed():
    picture = plain(300, 300)
    picture.flags.writeable = False
    draw(picture, [Rectangle((10, 10, 90, 90), "a", RED), Text("words")], words="inside")
    assert (picture == GREY).all()


@pytest.mark.parametrize("size", [(10, 4000), (1, 5000), (5000, 1)])
def test_what_is_long_already_is_not_made_longer(size: tuple[int, int]):
    assert draw(plain(*size), (Rectangle((0, 0, 1, 1), "", RED),)).shape == (*size, 3)


def test_what_stands_beside_a_picture_is_not_stretched_without_end():
    wide = Replacement(picture=plain(1, 4000), name="wide")
    assert draw(plain(300, 300), (wide,)).shape[1] == 300 + 4 + 4000
