"""Calibration pictures that are none, or are unlike those that they stand for."""

import re

import numpy as np
import pytest

from edgeprep.conversion.calibration import check_calibration
from edgeprep.data import Prepared
from edgeprep.data.digest import digest_of
from edgeprep.errors import DataError


def pictures(count=8, scale=1.0, seed=0):
    random = np.random.default_rng(seed)
    return (random.integers(0, 256, (count, 6, 5, 3)) * scale).astype(np.uint8)


def prepared(pictures):
    return Prepared(
        inputs=pictures,
        labels=(None,) * len(pictures),
        skipped=(),
        digests=tuple(map(digest_of, pictures)),
    )


def check(calibration, evaluation=None):
    return check_calibration(
        prepared(calibration), None if evaluation is None else prepared(evaluation)
    )


def fault(calibration):
    with pytest.raises(DataError, match=r"^data\.calibration: ") as caught:
        check(calibration)
    return str(caught.value)


def test_pictures_like_those_to_come_are_no_reason_to_warn():
    assert check(pictures(), pictures(seed=1)) == ()
    assert check(pictures(scale=0.6), pictures(seed=1)) == ()


def test_without_evaluation_data_there_is_nothing_to_compare():
    assert check(pictures(scale=0.1)) == ()


def test_pictures_scaled_to_0_and_1_are_refused():
    assert fault(pictures() // 128) == (
        "data.calibration: must hold pixels in 0..255, got 0..1 in 8 pictures; "
        "give them as they are, since the preprocessing scales them"
    )


def test_pictures_of_0_and_1_are_right_where_those_for_evaluation_are_too():
    assert check(pictures() // 128, pictures(seed=1) // 128) == ()
    with pytest.raises(DataError, match=r"^data\.calibration: must hold pixels in 0\.\.255"):
        check(pictures() // 128, pictures(seed=1))


def test_a_picture_with_more_than_that_is_enough():
    mixed = pictures() // 128
    mixed[5, 2, 2, 0] = 2
    assert check(mixed) == ()


@pytest.mark.parametrize("shape", [(3, 6, 5, 3), (3, 1, 1, 1)])
def test_pictures_of_one_colour_each_are_refused(shape):
    calibration = np.zeros(shape, np.uint8)
    calibration[1] = 200
    assert fault(calibration) == (
        "data.calibration: must show more than one colour a picture, got 3 of 3 pictures "
        "without a difference between pixels, from 0 to 200"
    )


def test_one_picture_that_shows_something_is_enough():
    calibration = np.zeros((8, 6, 5, 3), np.uint8)
    calibration[2] = pictures(1)
    assert check(calibration) == ()


@pytest.mark.parametrize(
    ("scale", "kind", "numbers"),
    [
        pytest.param(0.2, "darker", r"2\d of 255 on average against 12\d", id="darker"),
        pytest.param(1.0, "brighter", r"1[23]\d of 255 on average against 2\d", id="brighter"),
    ],
)
def test_pictures_of_another_brightness_are_told_with_numbers(scale, kind, numbers):
    (warning,) = check(pictures(scale=scale), pictures(scale=1.2 - scale, seed=1))
    assert re.fullmatch(
        f"calibration is far {kind} than evaluation, {numbers}; "
        "ranges that fit it may not fit what comes",
        warning,
    )


def test_black_evaluation_pictures_are_told_of_too():
    (warning,) = check(pictures(), np.zeros((2, 6, 5, 3), np.uint8))
    assert "against 0" in warning


@pytest.mark.parametrize("count", [1, 7])
def test_few_pictures_are_told_with_their_number(count):
    (warning,) = check(pictures(count))
    assert warning == (
        f"data.calibration has few pictures, {count}; ranges of values from so few may not fit "
        "what comes, give 100 or more"
    )


def test_pictures_that_scores_are_of_are_counted():
    mixed = np.concatenate([pictures(5, seed=1), pictures(6)])
    (warning,) = check(mixed, pictures(9, seed=1))
    assert warning == (
        "5 of the 9 pictures of data.evaluation are in data.calibration, too, identical to the "
        "pixel; a score on them says little of new pictures"
    )
