"""Tiles that lie over each other, and what is made of them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.runtime.mosaic import Mosaic

SIZES = [(64, 64), (1, 1), (3, 200), (33, 31), (100, 57), (32, 32), (131, 250)]


def as_maps(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    return tile.astype(np.float32).transpose(2, 0, 1)


def picture_of(size: tuple[int, int], channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*size, channels), dtype=np.uint8)


@pytest.mark.parametrize("overlap", [0, 1, 8, 15, 16])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_does_nothing_gives_the_picture_back(size: tuple[int, int], overlap: int) -> None:
    picture = picture_of(size)
    bands = list(Mosaic(size, (32, 40), overlap).bands(picture, as_maps))
    np.testing.assert_array_equal(np.concatenate(bands, axis=1), as_maps(picture))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_larger_result_is_joined_at_its_own_scale(size: tuple[int, int]) -> None:
    picture = picture_of(size, channels=1)
    bands = Mosaic(size, (32, 40), 8, 3).bands(
        picture, lambda tile: as_maps(tile).repeat(3, axis=1).repeat(3, axis=2)
    )
    wanted = as_maps(picture).repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_array_equal(np.concatenate(list(bands), axis=1), wanted)


def test_beyond_its_edges_a_picture_goes_on_as_its_reflection() -> None:
    seen = []
    picture = np.uint8([[[10], [20], [30]]])

    def look(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(tile[0, :, 0].tolist())
        return as_maps(tile)

    list(Mosaic((1, 3), (8, 8), 4).bands(picture, look))
    # One pixel more at the left, a quarter of the overlap; numpy.pad's "reflect" by hand.
    assert seen == [[20, 10, 20, 30, 20, 10, 20, 30]]


def test_neighbours_fade_into_each_other_over_half_of_what_they_share() -> None:
    answers = iter([0.0, 8.0])
    mosaic = Mosaic((8, 20), (16, 16), 8)
    (band,) = mosaic.bands(
        np.zeros((8, 20, 1), np.uint8), lambda _: np.full((1, 16, 16), next(answers), np.float32)
    )
    # Tiles reach from -2 to 14 and from 6 to 22, of which 2 at each end are left out: 8 to 12 fade.
    assert band[0, 0].tolist() == [0.0] * 8 + [1.0, 3.0, 5.0, 7.0] + [8.0] * 8


def test_no_more_than_a_row_of_tiles_is_held() -> None:
    mosaic = Mosaic((1000, 50), (32, 32), 16)
    picture = picture_of((1000, 50), channels=1)
    heights = [band.shape[1] for band in mosaic.bands(picture, as_maps)]
    assert sum(heights) == 1000
    assert max(heights) <= 32
