"""Outlines and run lengths, held against what pycocotools makes of the same ones."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from edgeprep.data.outlines import inside
from edgeprep.errors import InputError

# What pycocotools 2.0.11 does with NumPy 2 when it decodes, which only these tests have it do.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.mark.parametrize(
    ("height", "width", "share"),
    [(1, 1, 0.0), (1, 1, 1.0), (1, 40, 0.5), (40, 1, 0.5), (37, 23, 0.5), (90, 70, 0.999)],
    ids=str,
)
def test_text_of_run_lengths_is_what_was_encoded(height: int, width: int, share: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        pixels = (generator.random((height, width)) < share).astype(np.uint8)
        encoded = coco_mask.encode(np.asfortranarray(pixels))
        table = {"size": encoded["size"], "counts": encoded["counts"].decode()}
        assert np.array_equal(inside(table, height, width, "it"), pixels)


def test_polygons_are_filled_as_the_library_does() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        # Some points lie outside of the picture.
        polygons = [generator.uniform(-3, 33, 2 * count).tolist() for count in (3, 4, 7)]
        merged = coco_mask.merge(coco_mask.frPyObjects(polygons, 24, 30))
        assert np.array_equal(inside(polygons, 24, 30, "it"), coco_mask.decode(merged))


def test_an_object_without_polygons_is_refused_as_it_would_be_background() -> None:
    message = r"^it must have an outline where masks are asked for, got none$"
    with pytest.raises(InputError, match=message):
        inside([], 4, 5, "it")


def test_numbers_that_are_too_long_are_an_error() -> None:
    message = r"^it must have points of finite numbers, got 'int too large to convert to float'$"
    with pytest.raises(InputError, match=message):
        inside([[1, 1, 9, 1, 9, 10**400]], 4, 5, "it")


def test_pixels_of_a_square_by_hand() -> None:
    expected = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    assert inside([[1, 1, 3, 1, 3, 3, 1, 3]], 3, 4, "it").astype(int).tolist() == expected
    counts = {"size": [3, 4], "counts": [4, 2, 1, 2, 3]}
    assert inside(counts, 3, 4, "it").astype(int).tolist() == expected
