"""What a meter counts, against the same counted slowly."""

import itertools
from statistics import median
from threading import Thread

import numpy as np
import pytest

from edgeprep.errors import InputError
from edgeprep.monitor import Meter
from edgeprep.monitor.histogram import BOUNDS_MS, Histogram


def histogram_of(durations_ms):
    """That of a meter that has counted them."""
    meter = Meter()
    for duration in durations_ms:
        meter.took("run", duration / 1e3)
    return meter.steps["run"]


def test_bounds_are_one_two_and_five_of_each_power_of_ten():
    assert BOUNDS_MS[:4] == pytest.approx((0.01, 0.02, 0.05, 0.1))
    assert BOUNDS_MS[-4:] == (5000, 10000, 20000, 50000)
    assert sorted(BOUNDS_MS) == list(BOUNDS_MS)


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0.0, 0), (1e-5, 0), (1.1e-5, 1), (0.001, 6), (0.00101, 7), (49.0, 20), (51.0, 21)],
)
def test_a_duration_counts_up_to_its_bound_and_one_beyond_all_counts_last(seconds, place):
    meter = Meter()
    meter.took("run", seconds)
    assert meter.steps["run"].counts == tuple(int(at == place) for at in range(22))


def test_quantiles_lie_in_the_class_of_the_true_ones():
    durations = np.random.default_rng(0).lognormal(1.0, 1.0, 5000)
    found = histogram_of(durations.tolist())
    for share in (0.01, 0.5, 0.9, 0.99):
        true = float(np.quantile(durations, share, method="inverted_cdf"))
        bounds = (0.0, *BOUNDS_MS)
        lower, upper = next(
            pair for pair in itertools.pairwise(bounds) if pair[0] < true <= pair[1]
        )
        assert lower <= found.quantile_ms(share) <= upper
    assert found.mean_ms == pytest.approx(durations.mean())


@pytest.mark.parametrize("share", [-1, 2, float("nan"), "x"])
def test_a_quantile_is_of_a_share(share):
    message = f"^share: must be a number from 0 to 1, got {share!r}$"
    with pytest.raises(InputError, match=message):
        histogram_of([3.0]).quantile_ms(share)


def test_quantiles_are_straight_between_bounds_and_end_at_the_last():
    # Ten between 2 and 5 ms, ten between 5 and 10 ms: worked out by hand.
    found = histogram_of([3.0] * 10 + [7.0] * 10)
    assert found.quantile_ms(0.25) == pytest.approx(2 + 3 / 2)
    assert found.quantile_ms(0.5) == pytest.approx(5)
    assert found.quantile_ms(0.75) == pytest.approx(5 + 5 / 2)
    assert histogram_of([1e6]).quantile_ms(0.5) == 50000
    none = Histogram(counts=(0,) * 22, sum_ms=0.0)
    assert (none.quantile_ms(0.5), none.mean_ms) == (0, 0)


def test_threads_lose_no_count():
    meter = Meter()

    def work():
        for _ in range(5000):
            meter.took("run", 0.001)
            meter.dropped()

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.steps["run"].count == 40000
    assert meter.steps["run"].sum_ms == pytest.approx(40000)
    assert meter.pictures_dropped == 40000


def test_steps_that_were_not_made_are_absent():
    meter = Meter()
    meter.took("decode", 0.001)
    assert list(meter.steps) == ["decode"]


def test_errors_count_by_class_and_classes_without_end_are_others():
    meter = Meter()
    for number in range(40):
        kind = type(f"Fault{number}", (Exception,), {})
        meter.failed(kind("no"))
        meter.failed(ValueError("no"))
    assert meter.errors["ValueError"] == 40
    assert meter.errors["Fault0"] == 1
    assert meter.errors["other"] == 40 - 31
    assert len(meter.errors) == 33


def test_queues_know_how_long_they_were():
    meter = Meter()
    for waiting in (1, 4, 2):
        meter.queued(waiting)
    assert meter.pictures_queued == (2, 4)


def test_a_count_takes_few_microseconds():
    from time import perf_counter

    meter = Meter()
    times = []
    for _ in range(2000):
        began = perf_counter()
        meter.took("run", 0.0012)
        times.append(perf_counter() - began)
    # About 0.5 µs here; ten times as much would still be a third of what a call may take.
    assert median(times) < 5e-6
