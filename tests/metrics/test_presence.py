"""Scores of several classes: what scikit-learn says, and values by hand."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from edgeprep.errors import DataError, NonFiniteOutput
from edgeprep.metrics import metric_for, table_of
from edgeprep.metrics.class_score import PresenceScore
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.truths import Classes

NAMES = MultiLabel.metrics


def task_of(classes: int) -> MultiLabel:
    return MultiLabel(labels=tuple(f"class {index}" for index in range(classes)), scores="none")


def given(scores: Any, truth: Any) -> tuple[list[Any], list[Classes]]:
    """Decoded results for `scores`, `(samples, classes)`, and what is there."""
    rows = np.asarray(scores, np.float64)
    task = task_of(rows.shape[1])
    truths = [Classes(present) for present in np.asarray(truth, np.bool_)]
    return [task.decode((row[None],)) for row in rows], truths


def score(name: str, scores: Any, truth: Any) -> float:
    return metric_for(task_of(len(truth[0])), name).score(*given(scores, truth))


def table(scores: Any, truth: Any) -> Any:
    task = task_of(len(truth[0]))
    measure = table_of(task)
    return measure.per_class(measure.take(*given(scores, truth)), len(task.labels))


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn_where_all_classes_occur(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.random((40, 5)) < 0.3
    # In steps, so that many are equal.
    scores = np.round(np.clip(generator.normal(0.35, 0.25, truth.shape) + truth * 0.3, 0, 1), 1)
    present = scores >= 0.5
    expected = {
        "average-precision": average_precision_score(truth, scores),
        "label-f1-macro": f1_score(truth, present, average="macro"),
        "label-f1-micro": f1_score(truth, present, average="micro"),
        "subset-accuracy": accuracy_score(truth, present),
    }
    assert set(expected) == set(NAMES)
    for name, value in expected.items():
        assert score(name, scores, truth) == pytest.approx(value, abs=1e-12), name
    rows = table(scores, truth).rows
    assert [row.f1 for row in rows] == pytest.approx(f1_score(truth, present, average=None))
    areas = average_precision_score(truth, scores, average=None)
    assert [row.average_precision for row in rows] == pytest.approx(areas)
    assert [row.samples for row in rows] == truth.sum(axis=0).tolist()


def test_scores_by_hand() -> None:
    # Class 0 is found in the one of two samples that has it; class 1 is a false alarm, then missed.
    scores, truth = [[0.9, 0.6], [0.1, 0.2], [0.2, 0.1]], [[1, 0], [0, 1], [0, 0]]
    assert score("label-f1-macro", scores, truth) == pytest.approx((1 + 0) / 2)
    assert score("label-f1-micro", scores, truth) == pytest.approx(2 / 4)
    assert score("average-precision", scores, truth) == pytest.approx((1 + 1 / 2) / 2)
    assert score("subset-accuracy", scores, truth) == pytest.approx(1 / 3)


def test_classes_that_do_not_occur_have_no_part_and_no_numbers() -> None:
    scores, truth = [[0.9, 0.1, 0.8], [0.8, 0.0, 0.1]], [[1, 0, 0], [1, 0, 0]]
    assert score("average-precision", scores, truth) == 1.0
    # Class 2 is a false alarm, class 1 is nothing at all.
    assert score("label-f1-macro", scores, truth) == 0.5
    _, second, third = table(scores, truth).rows
    nothing = PresenceScore(average_precision=None, precision=None, recall=None, f1=None, samples=0)
    assert second == nothing
    assert (third.average_precision, third.precision, third.recall) == (None, 0.0, None)


def test_one_class_alone_is_scored_as_it_is_among_others() -> None:
    scores, truth = [[0.9], [0.8], [0.1], [0.2]], [[1], [0], [1], [0]]
    assert score("label-f1-macro", scores, truth) == 0.5
    assert score("label-f1-micro", scores, truth) == 0.5
    assert score("subset-accuracy", scores, truth) == 0.5
    (row,) = table(scores, truth).rows
    assert (row.precision, row.recall, row.f1, row.samples) == (0.5, 0.5, 0.5, 2)
    assert score("label-f1-macro", [[0.1, 0.0], [0.9, 0.0]], [[1, 0], [1, 0]]) == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("average-precision", "needs at least one class that a sample is of"),
        ("label-f1-macro", "needs at least one class that a sample is of or was taken for"),
        ("label-f1-micro", "needs at least one class that a sample is of or was taken for"),
    ],
)
def test_samples_without_any_class_are_refused(name: str, rule: str) -> None:
    with pytest.raises(DataError, match=f"^{name}") as caught:
        score(name, [[0.1, 0.2], [0.3, 0.0]], [[0, 0], [0, 0]])
    assert str(caught.value) == f"{name}: {rule}, got none in 2 samples"
    assert score("subset-accuracy", [[0.1, 0.2], [0.9, 0.0]], [[0, 0], [0, 0]]) == 0.5


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(NonFiniteOutput, match=r"^classes: all scores must be finite, got NaN or "):
        score("label-f1-macro", [[0.1, np.nan]], [[1, 0]])
