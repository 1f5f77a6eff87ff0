"""The picture of a confusion matrix: dark where samples are, and whatever the labels say."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgeprep.metrics.confusion_picture import draw_confusion


def pixels(matrix: NDArray[np.int64], labels: list[str]) -> NDArray[np.float64]:
    """How dark each pixel is, 0 to 255."""
    with Image.open(BytesIO(draw_confusion(matrix, labels, "variant backend"))) as image:
        return 255.0 - np.asarray(image.convert("L"), np.float64)


def test_the_diagonal_is_dark_where_all_is_right_and_the_other_one_where_all_is_wrong() -> None:
    right, wrong = np.eye(40, dtype=np.int64), np.eye(40, dtype=np.int64)[::-1]
    difference = pixels(right, ["x"] * 40) - pixels(wrong, ["x"] * 40)
    rows, columns = (np.flatnonzero(difference.any(axis=axis)) for axis in (1, 0))
    cells = difference[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (size // 4 for size in cells.shape)
    # Positive where the first is darker: towards the corners of its own diagonal.
    assert cells[:height, :width].sum() > 0
    assert cells[-height:, -width:].sum() > 0
    assert cells[:height, -width:].sum() < 0
    assert cells[-height:, :width].sum() < 0


def test_a_rare_class_is_as_dark_as_a_common_one() -> None:
    even = pixels(np.diag([5] * 30), ["x"] * 30)
    uneven = pixels(np.diag([5] * 29 + [1]), ["x"] * 30)
    np.testing.assert_array_equal(even, uneven)


@pytest.mark.parametrize("label", ["$x^2$", "a $ b", "", "x_{1}\n2", "\\frac"])
def test_labels_are_no_formulas(label: str) -> None:
    assert pixels(np.eye(2, dtype=np.int64), [label, "other"]).max() > 0


def test_a_thousand_classes_fit_on_a_picture() -> None:
    picture = pixels(np.eye(1000, dtype=np.int64), ["x"] * 1000)
    assert max(picture.shape) < 2000


def test_counts_of_pixels_stand_there_as_shares_of_the_row() -> None:
    many, more = np.diag([3_000_000, 40_000]), np.diag([5_000_000, 10_000_000])
    np.testing.assert_array_equal(pixels(many, ["a", "b"]), pixels(more, ["a", "b"]))
    assert (pixels(np.diag([3, 4]), ["a", "b"]) != pixels(np.diag([5, 10]), ["a", "b"])).any()
