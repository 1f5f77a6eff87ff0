"""Many pictures in one."""

import numpy as np

from edgeprep.drawing import Sheet


def flat(level: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_pictures_stand_in_rows_with_their_captions_below():
    sheet = Sheet(5, columns=3, cell=100)
    for level in (10, 60, 110, 160, 210):
        sheet.add(flat(level), f"number {level}")
    pixels = sheet.pixels()
    # A cell is 100 pixels and twice 8 of margin wide, and three lines of 14 higher.
    assert pixels.shape == (2 * 158, 3 * 116, 3)
    found = [pixels[158 * row + 58, 116 * column + 58, 0] for row in (0, 1) for column in (0, 1, 2)]
    assert found == [10, 60, 110, 160, 210, 24]
    for row, column in ((0, 0), (0, 2), (1, 1)):
        caption = pixels[158 * row + 110 : 158 * (row + 1), 116 * column : 116 * (column + 1)]
        assert caption.max() == 255


def test_a_picture_keeps_its_proportions():
    sheet = Sheet(1, columns=1, cell=100)
    sheet.add(flat(200, 10, 40), "")
    rows, columns = np.nonzero((sheet.pixels() == 200).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 32, 8, 107)


def test_a_large_picture_becomes_its_mean():
    sheet = Sheet(1, columns=1, cell=50)
    picture = flat(0, 500, 500)
    picture[::2] = 200
    sheet.add(picture, "")
    assert (sheet.pixels()[8:58, 8:58] == 100).all()


def test_a_caption_that_is_too_long_stays_in_its_cell():
    sheet = Sheet(2, columns=2, cell=64)
    sheet.add(flat(1), "a name that is far too long for a cell of this size")
    assert (sheet.pixels()[:, 80:] == 24).all()
