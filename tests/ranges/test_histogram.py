"""What is counted, in whatever order, and that the disk gives it back."""

import numpy as np
import pytest

from edgeprep.ranges import Histogram, load_histograms, save_histograms


def counted(*portions):
    histogram = Histogram()
    for portion in portions:
        histogram.add(np.asarray(portion, np.float32))
    return histogram


def same(one, other):
    return (one.low, one.high) == (other.low, other.high) and bool(
        (one.counts == other.counts).all()
    )


def values():
    return np.random.default_rng(0).standard_t(1, 10_000).astype(np.float32)


def test_order_and_portions_make_no_difference():
    once = values()
    parts = np.array_split(once[::-1], 7)
    assert same(counted(once), counted(*parts))


@pytest.mark.parametrize(
    "hard",
    [
        pytest.param(values().reshape(10, 1000).T, id="Fortran order"),
        pytest.param(values().reshape(10, 10, 100)[:, ::2, ::-3], id="strided"),
        pytest.param(values().reshape(10, 1000)[:0], id="empty"),
        pytest.param(np.float32(3).reshape(()), id="a scalar"),
    ],
)
def test_shapes_and_strides_make_no_difference(hard):
    assert same(counted(hard), counted(np.sort(hard, axis=None)))


def test_read_only_values_are_counted():
    once = values()
    once.flags.writeable = False
    assert counted(once).total == 10_000


def test_bins_ascend_and_hold_numbers_that_are_less_than_a_hundredth_apart():
    ascending = np.sort(values())
    # Each alone: where it was counted.
    bins = [int(np.flatnonzero(counted([value]).counts)[0]) for value in ascending[::25]]
    assert bins == sorted(bins)
    for value in (1.0, 1.9999, -3e-7, 5e30):
        near, far = counted([value, value * 1.003]), counted([value, value * 1.01])
        assert np.count_nonzero(near.counts) <= 2
        assert np.count_nonzero(far.counts) == 2


def test_the_ends_are_exact():
    assert (counted(values()).low, counted(values()).high) == (values().min(), values().max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("last", [True, False])
def test_what_is_not_finite_is_seen_whenever_it_comes(bad, last):
    portions = [[1.0, bad], [2.0]]
    assert not counted(*(portions[::-1] if last else portions)).is_finite
    assert counted([1.0], [2.0]).is_finite


def test_nothing_is_not_finite():
    assert not Histogram().is_finite


def test_the_share_outside_is_that_of_the_values():
    once = values()
    for low, high in ((-1, 1), (-0.1, 20), (0, 1e9), (-1e9, 0)):
        outside = np.mean((once < low) | (once > high))
        # The bins that hold the ends are divided as if they were filled evenly.
        assert counted(once).share_outside(low, high) == pytest.approx(outside, abs=2e-3)


def test_the_disk_gives_histograms_back(tmp_path):
    some = {"a": counted(values()), "b;c/d": counted([0.0]), "none": Histogram()}
    path = tmp_path / "histograms.npz"
    save_histograms(some, path)
    again = load_histograms(path)
    assert list(again) == list(some)
    assert all(same(again[name], some[name]) for name in some)
    assert [one.name for one in tmp_path.iterdir()] == ["histograms.npz"]


def test_no_histograms_are_given_back_too(tmp_path):
    save_histograms({}, tmp_path / "none.npz")
    assert load_histograms(tmp_path / "none.npz") == {}
