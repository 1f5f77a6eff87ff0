"""Scores: what a drop is, and what stands in for labels."""

import numpy as np
import pytest

from edgeprep.conversion.ground import sample
from edgeprep.conversion.score import Agreement, Scorer
from edgeprep.data import Prepared
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.metrics import Metric, metric_for
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.tensors import Tensors
from edgeprep.truths import Boxes

TASK = Classify(labels=("a", "b", "c"))


def prepared(*labels: int) -> Prepared:
    inputs = np.zeros((len(labels), 2, 2, 3), np.uint8)
    return Prepared(inputs=inputs, labels=labels, skipped=())


@pytest.fixture
def scorer() -> Scorer:
    return Scorer(task=TASK, metric=metric_for(TASK, "accuracy"), samples=prepared(0, 1, 2, 2))


def test_outputs_are_decoded_and_scored_against_labels(scorer: Scorer) -> None:
    rows = np.eye(3)[[0, 1, 2, 0]]
    assert scorer.score([(row[None],) for row in rows]) == 0.75


def test_a_part_without_any_object_stands_for_nothing() -> None:
    task, count = Detect(labels=("ant",)), 600
    # One object in all, in none of the 256 samples that would be looked at first.
    places = set(np.linspace(0, count - 1, 256).astype(int).tolist())
    rare = min(set(range(count)) - places)
    labels = tuple(
        Boxes.of([[0, 0, 1, 1]] if index == rare else [], [0] if index == rare else [])
        for index in range(count)
    )
    samples = Prepared(
        inputs=np.zeros((count, 2, 2, 3), np.uint8),
        labels=labels,
        skipped=(),
        frames=(Frame(2, 2, (2, 2), (IDENTITY,)),) * count,
    )
    scorer = Scorer(task=task, metric=metric_for(task, "map"), samples=samples)
    outputs = [(np.zeros((1, 1, 4), np.float32), np.full((1, 1, 1), -9.0, np.float32))] * count
    assert scorer.score(outputs) == 0.0
    assert sample(scorer, outputs) == ((), 0.0)


def test_a_drop_that_is_exactly_the_budget_is_not_above_it(scorer: Scorer) -> None:
    assert 0.98 - 0.97 > 0.01  # in binary
    assert scorer.drop(0.98, 0.97) == 0.01
    assert scorer.drop(0.97, 0.98) == -0.01


def test_a_metric_that_is_better_when_lower_drops_when_it_rises(scorer: Scorer) -> None:
    error = Metric(name="error", higher_is_better=False, score=lambda *_: 0.0)
    scorer = Scorer(task=TASK, metric=error, samples=scorer.samples)
    assert scorer.drop(0.1, 0.3) == pytest.approx(0.2)


def test_without_labels_the_top_class_or_the_numbers_are_compared() -> None:
    expected = [(np.array([[1.0, 2.0, 0.0]]),), (np.array([[3.0, 0.0, 1.0]]),)]
    other = [(np.array([[1.0, 2.0, 0.5]]),), (np.array([[0.0, 0.5, 1.0]]),)]
    samples = prepared(0, 0)
    classes = Agreement.with_source(TASK, samples, expected)
    assert (classes.name, classes.score(other)) == ("top-1 agreement with the source", 0.5)
    numbers = Agreement.with_source(Tensors(), samples, expected)
    assert (numbers.name, numbers.score(other)) == ("relative error with the source", 1.0)
    assert numbers.drop(0.0, 0.25) == 0.25
