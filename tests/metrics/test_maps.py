"""Errors of maps: what scikit-learn says of the known pixels, and values by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from edgeprep.errors import DataError
from edgeprep.metrics import metric_for, metrics_of
from edgeprep.tasks.depth import Depth
from edgeprep.truths import Map

NAMES = ("mean-absolute-error", "root-mean-square-error", "delta-1")


def score(name: str, results: Any, truths: Any) -> float:
    predictions = [SimpleNamespace(values=np.asarray(each, np.float32)) for each in results]
    maps = [Map(np.asarray(each, np.float32)) for each in truths]
    return metric_for(Depth(), name).score(predictions, maps)


def test_errors_are_those_of_scikit_learn_over_all_known_pixels() -> None:
    generator = np.random.default_rng(0)
    truths = [generator.uniform(0.5, 80, shape).astype(np.float32) for shape in [(3, 5), (20, 31)]]
    results = [truth + generator.normal(0, 5, truth.shape).astype(np.float32) for truth in truths]
    for truth in truths:
        truth[generator.random(truth.shape) < 0.3] = np.nan
    theirs, ours = (np.concatenate([each.ravel() for each in all_]) for all_ in (truths, results))
    known = ~np.isnan(theirs)
    theirs, ours = theirs[known].astype(np.float64), ours[known].astype(np.float64)
    expected = (
        mean_absolute_error(theirs, ours),
        root_mean_squared_error(theirs, ours),
        np.mean(np.where(ours > 0, np.maximum(theirs / ours, ours / theirs) < 1.25, False)),
    )
    for name, value in zip(NAMES, expected, strict=True):
        assert score(name, results, truths) == pytest.approx(value, abs=1e-9), name


def test_a_map_by_hand() -> None:
    given = [[[2.0, 4.0, -1.0, 9.0]]], [[[1.0, 4.0, 1.0, np.nan]]]
    assert score("mean-absolute-error", *given) == 1.0
    assert score("root-mean-square-error", *given) == pytest.approx(np.sqrt(5 / 3))
    assert score("delta-1", *given) == pytest.approx(1 / 3)


def test_a_factor_of_just_1_25_is_too_far() -> None:
    assert score("delta-1", [[[5.0, 4.0, 4.9]]], [[[4.0, 5.0, 4.0]]]) == pytest.approx(1 / 3)


def test_errors_are_better_when_lower() -> None:
    assert [metric.higher_is_better for metric in metrics_of(Depth())] == [False, False, True]


@pytest.mark.parametrize("name", NAMES)
def test_maps_of_which_nothing_is_known_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"^{name}") as caught:
        score(name, [[[1.0, 2.0]]], [[[np.nan, np.nan]]])
    assert str(caught.value) == (
        f"{name}: needs at least one known pixel among the truths, got NaN alone"
    )


def test_truths_that_are_not_above_0_have_no_ratio() -> None:
    with pytest.raises(DataError, match=r"^delta-1: needs truths above 0, got -0\.5$"):
        score("delta-1", [[[1.0, 2.0]]], [[[1.0, -0.5]]])
    assert score("mean-absolute-error", [[[1.0, 2.0]]], [[[1.0, -0.5]]]) == 1.25
