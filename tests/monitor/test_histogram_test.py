"""Histograms of classes, against scipy's test of the same."""

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from edgeprep.monitor.histogram_test import differ


def test_it_tells_where_scipy_finds_chance_in_a_millionth_and_a_quarter_has_moved():
    """Objects move one by one from one class to another; a small histogram needs more of them."""
    told = []
    for scale in (1, 3):
        expected = scale * np.array([30, 30, 30, 10])
        for moved in range(scale * 27):
            found = scale * np.array([27, 27, 27, 9]) + np.array([-moved, 0, 0, moved])
            chance = chi2_contingency(np.stack([found, expected])).pvalue
            distance = moved / found.sum()
            seen = differ(found, expected)
            told.append(seen is not None)
            if seen is None:
                assert distance <= 0.25 or chance > 2e-7
            else:
                assert seen == pytest.approx(distance)
                assert distance > 0.25
                assert chance < 1e-6
    assert {True, False} == set(told)


def test_a_move_of_half_is_told_with_its_share():
    expected = np.array([100, 100, 100, 100])
    assert differ(np.array([128, 128, 0, 0]), expected) == pytest.approx(0.5)
    assert differ(np.array([0, 0, 0, 256]), expected) == pytest.approx(0.75)
    assert differ(np.array([66, 60, 70, 60]), expected) is None


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 30, 200])
def test_the_bound_lies_where_scipys_does(freedom):
    wide = 2 / (9 * freedom)
    bound = freedom * (1 - wide + 4.75 * wide**0.5) ** 3
    assert 1e-7 < chi2.sf(bound, freedom) < 1.1e-6


def test_what_is_rare_is_taken_together():
    """A thousand classes with one object each are no reason to tell of the thousand others."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        found = np.bincount(rng.integers(0, 1000, 256), minlength=1000)
        expected = np.bincount(rng.integers(0, 1000, 400), minlength=1000)
        assert differ(found, expected) is None


def test_the_same_kind_of_pictures_is_never_told():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(10))
    for _ in range(2000):
        assert differ(rng.multinomial(256, shares), rng.multinomial(300, shares)) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [([0, 0], [5, 5]), ([5, 5], [0, 0]), ([256], [300]), ([3, 2], [4, 5])],
    ids=["none found", "none expected", "one class", "few"],
)
def test_what_says_nothing_tells_nothing(found, expected):
    assert differ(np.array(found), np.array(expected)) is None
