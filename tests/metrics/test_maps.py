"""Errors of maps: what scikit-learn says of the known pixels, and values by hand."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from edgeprep.errors import DataError
from edgeprep.geometry import Affine, Frame
from edgeprep.metrics import metric_for, metrics_of
from edgeprep.tasks.depth import Depth, DepthMap
from edgeprep.truths import Map

NAMES = ("mean-absolute-error", "root-mean-square-error", "delta-1")


TASK = Depth()


def score(name: str, results: Any, truths: Any, task: Depth = TASK) -> float:
    maps = [Map(np.asarray(each, np.float32)) for each in truths]
    return metric_for(task, name).score([mapped(each, task) for each in results], maps)


def mapped(values: Any, task: Depth) -> DepthMap:
    output = np.asarray(values, np.float32)
    return task.decode((output[None],), Frame.whole(*output.shape))


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


def test_relative_maps_are_brought_to_their_truths_first() -> None:
    generator = np.random.default_rng(1)
    truths = [generator.uniform(1, 9, (6, 7)).astype(np.float32) for _ in range(2)]
    results = [
        (truth - 3) * factor + 0.5 for truth, factor in zip(truths, (0.1, -4.0), strict=True)
    ]
    results[0][2, 2] += 1.0
    truths[1][0] = np.nan
    aligned = Depth(align="scale-and-shift")
    # The line of least squares, by numpy's own solver.
    known = [~np.isnan(truth) for truth in truths]
    errors = [
        np.abs(np.polyval(np.polyfit(ours[at], theirs[at], 1), ours[at]) - theirs[at])
        for ours, theirs, at in zip(results, truths, known, strict=True)
    ]
    expected = np.concatenate(errors).mean()
    found = score("mean-absolute-error", results, truths, aligned)
    assert found == pytest.approx(expected, abs=1e-5)
    assert found < 0.5 < score("mean-absolute-error", results, truths)


def test_of_a_flat_relative_map_the_mean_is_left() -> None:
    given = [[[7.0, 7.0, 7.0]]], [[[1.0, 3.0, np.nan]]]
    assert score("mean-absolute-error", *given, task=Depth(align="scale-and-shift")) == 1.0


def test_pixels_at_which_the_network_does_not_look_count_for_nobody() -> None:
    crop = Frame(1, 3, (1, 2), (Affine.scaled(1.0, 1.0, 1.0, 0.0),))
    result = Depth().decode((np.float32([[[2.0, 5.0]]]),), crop)
    truth = Map(np.float32([[9.0, 1.0, 5.0]]))
    assert metric_for(Depth(), "mean-absolute-error").score([result], [truth]) == 0.5


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
