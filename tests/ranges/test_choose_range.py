"""Ranges against slow computations on the values themselves, which know nothing of bins."""

import math

import numpy as np
import pytest

from edgeprep.interfaces import Quantization
from edgeprep.ranges import Histogram, choose_range

SAMPLES = 100_000


def draw():
    random = np.random.default_rng(0)
    normal = random.normal(size=SAMPLES)
    scaled = 2 * normal
    return {
        "normal": normal,
        "behind a relu": np.maximum(normal, 0),
        "laplace": random.laplace(size=SAMPLES),
        "behind a hard-swish": scaled * np.clip(scaled + 3, 0, 6) / 6,
        "behind a relu6": np.clip(3 * normal, 0, 6),
        "heavy tails": random.standard_t(3, SAMPLES),
        "one huge outlier": np.append(normal, 1000),
        "one huge outlier behind a relu": np.append(np.maximum(normal, 0), 1000),
        "below zero": -np.abs(normal) - 1,
        "far from zero": random.uniform(5, 6, SAMPLES),
        "tiny": 1e-20 * normal,
        "huge": 1e20 * normal,
    }


VALUES = {name: values.astype(np.float32) for name, values in draw().items()}
NAMES = list(VALUES)


def counted(values):
    histogram = Histogram()
    histogram.add(values)
    return histogram


def chosen(values, **policy):
    return choose_range(counted(values), Quantization(**policy))


def whole(values):
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)


def cut_off(values, limits):
    low, high = whole(values)
    return [(max(low, -limit), min(high, limit)) for limit in limits]


def magnitudes(values):
    """The greatest tenth of those that are not 0, ascending."""
    ascending = np.sort(np.abs(values[values != 0].astype(np.float64)))
    return ascending[len(ascending) * 9 // 10 :]


def squared_error(values, ends, levels=256):
    low, high = ends
    step = (high - low) / (levels - 1)
    exact = values.astype(np.float64)
    rounded = np.rint(np.clip(exact, low, high) / step) * step
    return float(np.mean((rounded - exact) ** 2))


def divergence(values, ends, levels=256, parts=4):
    """Migacz, "8-bit Inference with TensorRT", GTC 2017, slides 37 and 38, in plain loops."""
    low, high = ends
    exact = values[values != 0].astype(np.float64)
    inside = exact[(exact >= low) & (exact <= high)]
    counts, _ = np.histogram(inside, bins=levels * parts, range=(low, high))
    expected = counts.astype(float).tolist()
    expected[0] += np.count_nonzero(exact < low)
    expected[-1] += np.count_nonzero(exact > high)
    given = []
    for level in range(levels):
        group = counts[level * parts : (level + 1) * parts]
        occupied = np.count_nonzero(group)
        given += [group.sum() / occupied if count else 0.0 for count in group]
    total, held = sum(expected), sum(given)
    return sum(
        p / total * math.log((p / total) / max(q / held, 1e-9))
        for p, q in zip(expected, given, strict=True)
        if p
    )


@pytest.mark.parametrize("name", NAMES)
def test_min_max_is_from_the_least_to_the_greatest_and_holds_zero(name):
    assert chosen(VALUES[name]) == whole(VALUES[name])


@pytest.mark.parametrize("percentile", [90, 99, 99.9, 99.99, 100])
@pytest.mark.parametrize("name", NAMES)
def test_percentile_leaves_the_middle_share(name, percentile):
    values = VALUES[name]
    low, high = chosen(values, calibrator="percentile", percentile=percentile)
    outside = (100 - percentile) / 2
    first, last = np.percentile(values, [outside, 100 - outside], method="inverted_cdf")
    # A bin is less than 1 % wide, as 128 of them double a number.
    assert low == pytest.approx(min(first, 0), rel=0.01)
    assert high == pytest.approx(max(last, 0), rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_mse_is_as_good_as_the_best_range_by_the_values_themselves(name):
    values = VALUES[name]
    found = chosen(values, calibrator="mse")
    ranges = cut_off(values, np.geomspace(*magnitudes(values)[[0, -1]], 150))
    best = min(ranges, key=lambda ends: squared_error(values, ends))
    # Within bins, values are taken to be spread evenly. Near its minimum the error hardly changes,
    # where the range still does by some percent.
    assert squared_error(values, found) <= 1.02 * squared_error(values, best)
    assert found == pytest.approx(best, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_entropy_is_as_good_as_the_best_range_by_the_values_themselves(name):
    values = VALUES[name]
    found = chosen(values, calibrator="entropy")
    # Magnitudes that occur, from the greatest on ever further apart.
    ascending = magnitudes(values)
    places = np.unique(np.geomspace(1, len(ascending), 100).astype(int))
    best = min(divergence(values, ends) for ends in cut_off(values, ascending[-places]))
    # Most of it is how values that were drawn scatter over the parts of a step, which bins that are
    # wider than a part even out.
    assert divergence(values, found) <= 1.35 * best


@pytest.mark.parametrize("calibrator", ["percentile", "entropy"])
def test_a_huge_outlier_does_not_widen_the_range(calibrator):
    low, high = chosen(VALUES["one huge outlier"], calibrator=calibrator)
    plain = chosen(VALUES["normal"], calibrator=calibrator)
    assert (low, high) == pytest.approx(plain, rel=0.1)


def test_mse_keeps_an_outlier_that_would_cost_more_than_all_rounding():
    # One of 100,000 at 1000: cut off to 5 it costs 9.9 a value, rounded to steps of 4 all cost 1.
    assert chosen(VALUES["one huge outlier"], calibrator="mse")[1] > 900


@pytest.mark.parametrize("calibrator", ["min-max", "percentile", "entropy", "mse"])
@pytest.mark.parametrize(
    ("values", "ends"),
    [
        pytest.param([0.0], (0, 0), id="nothing but zero"),
        pytest.param([-0.0, 0.0], (0, 0), id="both zeros"),
        pytest.param([2.0], (0, 2), id="one value"),
        pytest.param([-2.0] * 9, (-2, 0), id="one value below zero, often"),
        pytest.param([1e-45], (0, 1e-45), id="the least number"),
        pytest.param([3.4e38, -3.4e38], (-3.4e38, 3.4e38), id="the greatest numbers"),
    ],
)
def test_few_values_are_kept(calibrator, values, ends):
    found = chosen(np.array(values, np.float32), calibrator=calibrator, percentile=100)
    # A bin reaches 1 % beyond what is in it, and no range beyond what occurs.
    assert found == pytest.approx(ends, rel=0.01, abs=1e-44)
    low, high = whole(np.array(values, np.float32))
    assert low <= found[0] <= 0 <= found[1] <= high


def test_more_levels_leave_more_of_the_range():
    histogram = counted(VALUES["normal"])
    policy = Quantization(calibrator="mse")
    assert choose_range(histogram, policy, levels=16)[1] < choose_range(histogram, policy)[1]
