"""Metrics of classes: hand-worked values, and slow implementations of the definitions."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import top_k_accuracy_score

from edgeprep.errors import DataError, NonFiniteOutput
from edgeprep.metrics import metric_for
from edgeprep.metrics.class_score import ClassScore
from edgeprep.metrics.per_class import confusion, score_classes
from edgeprep.tasks.classify import Classification, Classify

MEASURED = (
    "precision-macro",
    "precision-micro",
    "recall-macro",
    "recall-micro",
    "f1-macro",
    "f1-micro",
)


def results(scores: Any, kind: Any = "none") -> tuple[Classification, ...]:
    """Decoded results for outputs `(samples, classes)`."""
    outputs = np.asarray(scores, np.float64)
    labels = tuple(f"class {index}" for index in range(outputs.shape[1]))
    task = Classify(labels=labels, scores=kind)
    return tuple(task.decode((row[None],)) for row in outputs)


def picked(*indices: int, classes: int) -> tuple[Classification, ...]:
    """Results that name these classes."""
    return results(np.eye(classes)[list(indices)])


def score(name: str, predictions: tuple[Classification, ...], labels: list[int]) -> float:
    task = Classify(labels=tuple(map(str, range(len(predictions[0].scores)))))
    return metric_for(task, name).score(predictions, labels)


# Six samples of three classes: one 0 is taken for 1, one 2 for 1.
LABELS = [0, 0, 0, 1, 2, 2]
PICKED = picked(0, 0, 1, 1, 2, 1, classes=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 4 / 6),
        ("precision-macro", (1 + 1 / 3 + 1) / 3),
        ("recall-macro", (2 / 3 + 1 + 1 / 2) / 3),
        # F1 is 2 TP / (2 TP + FP + FN): 4/5, 2/4 and 2/3.
        ("f1-macro", (4 / 5 + 1 / 2 + 2 / 3) / 3),
        ("precision-micro", 4 / 6),
        ("recall-micro", 4 / 6),
        ("f1-micro", 4 / 6),
    ],
)
def test_averages_are_what_they_are_by_hand(name: str, expected: float) -> None:
    assert score(name, PICKED, LABELS) == pytest.approx(expected, abs=1e-12)


def test_each_class_has_its_numbers() -> None:
    assert score_classes(PICKED, LABELS, 3) == (
        ClassScore(precision=1.0, recall=2 / 3, f1=0.8, samples=3),
        ClassScore(precision=1 / 3, recall=1.0, f1=0.5, samples=1),
        ClassScore(precision=1.0, recall=0.5, f1=2 / 3, samples=2),
    )


def test_the_confusion_matrix_has_a_row_for_each_true_class() -> None:
    assert confusion(PICKED, LABELS, 3).tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 1]]


def test_a_class_that_is_absent_has_no_numbers_and_no_part_in_averages() -> None:
    predictions, labels = picked(0, 1, classes=4), [0, 0]
    assert score_classes(predictions, labels, 4) == (
        ClassScore(precision=1.0, recall=0.5, f1=2 / 3, samples=1 + 1),
        # Predicted once, and never right.
        ClassScore(precision=0.0, recall=None, f1=0.0, samples=0),
        ClassScore(precision=None, recall=None, f1=None, samples=0),
        ClassScore(precision=None, recall=None, f1=None, samples=0),
    )
    assert confusion(predictions, labels, 4).sum(axis=1).tolist() == [2, 0, 0, 0]
    # Classes 0 and 1 occur; the recall of class 1, which has no sample, counts as 0.
    assert score("precision-macro", predictions, labels) == 0.5
    assert score("recall-macro", predictions, labels) == 0.25
    assert score("f1-macro", predictions, labels) == pytest.approx(1 / 3, abs=1e-12)


def test_a_class_that_is_never_predicted_has_a_precision_of_0_in_averages() -> None:
    assert score("precision-macro", picked(0, 0, classes=2), [0, 1]) == 0.25


@pytest.mark.parametrize("name", [*MEASURED, "accuracy", "roc-auc", "top-1"])
def test_a_perfect_network_scores_1(name: str) -> None:
    assert score(name, picked(0, 1, 2, classes=3), [0, 1, 2]) == 1.0


def test_top_k_counts_labels_among_the_k_best() -> None:
    predictions = results([[4, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1], [1, 2, 3, 4]])
    labels = [0, 1, 2, 0]
    assert score("top-1", predictions, labels) == 0.25
    assert score("top-2", predictions, labels) == 0.5
    assert score("top-3", predictions, labels) == 0.75


def test_of_equal_scores_the_first_classes_are_the_best() -> None:
    predictions = results(np.zeros((4, 4)))
    assert score("top-2", predictions, [0, 1, 2, 3]) == 0.5
    assert score("top-1", predictions, [0, 1, 2, 3]) == score("accuracy", predictions, [0, 1, 2, 3])


def test_the_area_is_the_share_of_pairs_in_order_and_ties_count_half() -> None:
    # Class 1 scores .9, .5 and .2; class 0 scores .5 and .1: of 6 pairs 4 are in order, 1 is equal.
    second = np.array([0.9, 0.5, 0.2, 0.5, 0.1])
    predictions = results(np.stack([1 - second, second], axis=1))
    assert score("roc-auc", predictions, [1, 1, 1, 0, 0]) == pytest.approx(4.5 / 6, abs=1e-12)


def test_of_two_classes_the_second_one_is_put_in_order() -> None:
    predictions = results([[0.0, 0.1], [0.1, 0.9], [0.9, 0.2], [0.8, 0.8]])
    # The scores of class 0 would give 1.
    assert score("roc-auc", predictions, [1, 1, 0, 0]) == 0.5


def test_classes_without_samples_have_no_area() -> None:
    predictions = results([[0.8, 0.1, 0.1], [0.3, 0.1, 0.6], [0.7, 0.2, 0.1], [0.1, 0.0, 0.9]])
    # Class 0: 3 of 4 pairs; class 2: 2 and an equal one; class 1 has no samples.
    assert score("roc-auc", predictions, [0, 0, 2, 2]) == pytest.approx(
        (3 / 4 + 2.5 / 4) / 2, abs=1e-12
    )


def test_the_area_of_one_class_alone_is_refused() -> None:
    with pytest.raises(DataError, match=r"^roc-auc") as caught:
        score("roc-auc", picked(0, 2, classes=3), [2, 2])
    assert str(caught.value) == (
        "roc-auc: needs samples of at least 2 classes, got those of class 2 alone"
    )


@pytest.mark.parametrize("name", ["roc-auc", "calibration-error"])
def test_scores_that_are_no_numbers_have_no_place_in_an_order(name: str) -> None:
    predictions = results([[0.1, 0.9], [0.5, np.nan], [np.inf, 0.0]])
    with pytest.raises(NonFiniteOutput, match=f"^{name}") as caught:
        score(name, predictions, [0, 1, 0])
    assert str(caught.value) == (
        f"{name}: all scores must be finite, got NaN or infinity for 2 of 3 samples, "
        "the first is sample 1"
    )


def test_the_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    # 0.9 and 0.92 share the bin (13/15, 14/15], of which half are right; 0.5 is alone and right.
    predictions = results([[0.9, 0.1], [0.92, 0.08], [0.5, 0.4]])
    expected = (abs(1 - 0.9 - 0.92) + abs(1 - 0.5)) / 3
    assert score("calibration-error", predictions, [0, 1, 0]) == pytest.approx(expected, abs=1e-12)


def test_a_score_on_the_edge_of_a_bin_belongs_below_it() -> None:
    # 6/15 ends the bin of 0.35; gaps of two bins would add up to 0.1 more.
    predictions = results([[6 / 15, 0.1], [0.35, 0.1]])
    expected = abs(1 - 6 / 15 - 0.35) / 2
    assert score("calibration-error", predictions, [0, 1]) == pytest.approx(expected, abs=1e-12)
    for step in range(1, 16):
        assert step / 15 * 15 == step


def test_outputs_that_are_no_probabilities_have_no_calibration_error() -> None:
    with pytest.raises(DataError, match=r"^calibration-error") as caught:
        score("calibration-error", results([[0.5, 2.5], [0.1, 0.2]]), [0, 1])
    assert str(caught.value) == (
        "calibration-error: needs scores in 0..1, got 2.5; "
        "task.scores says how outputs become scores"
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float64], list[int]]:
    """Scores in 0..1 in steps of 1/30, many of them equal or on edges, and labels."""
    classes = draw(st.integers(2, 5))
    count = draw(st.integers(2, 12))
    row = st.lists(st.integers(0, 30), min_size=classes, max_size=classes)
    scores = np.array(draw(st.lists(row, min_size=count, max_size=count))) / 30
    labels = st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)
    return scores, draw(labels)


@settings(deadline=None)
@given(cases())
def test_averages_are_those_of_a_slow_implementation(
    case: tuple[NDArray[np.float64], list[int]],
) -> None:
    scores, labels = case
    predictions = results(scores)
    indices = [row.tolist().index(max(row)) for row in scores]
    rows = {}
    for each in sorted({*labels, *indices}):
        hits = sum(i == each == t for i, t in zip(indices, labels, strict=True))
        taken, there = indices.count(each), labels.count(each)
        rows[each] = (
            hits / taken if taken else 0.0,
            hits / there if there else 0.0,
            2 * hits / (taken + there),
        )
    means = [sum(column) / len(rows) for column in zip(*rows.values(), strict=True)]
    for name, mean in zip(("precision", "recall", "f1"), means, strict=True):
        assert score(f"{name}-macro", predictions, labels) == pytest.approx(mean, abs=1e-12)
    matrix = confusion(predictions, labels, scores.shape[1])
    pairs = list(zip(labels, indices, strict=True))
    assert all(matrix[cell] == pairs.count(cell) for cell in np.ndindex(*matrix.shape))


@settings(deadline=None)
@given(cases())
def test_the_area_is_that_of_counted_pairs(case: tuple[NDArray[np.float64], list[int]]) -> None:
    scores, labels = case
    if len(set(labels)) == 1:
        labels = [*labels[:-1], 1 - min(labels[0], 1)]
    areas = []
    for each in [1] if scores.shape[1] == 2 else sorted(set(labels)):
        own = [row[each] for row, label in zip(scores, labels, strict=True) if label == each]
        rest = [row[each] for row, label in zip(scores, labels, strict=True) if label != each]
        wins = sum((a > b) + (a == b) / 2 for a in own for b in rest)
        areas.append(wins / (len(own) * len(rest)))
    expected = sum(areas) / len(areas)
    assert score("roc-auc", results(scores), labels) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(cases())
def test_the_calibration_error_is_that_of_exact_fractions(
    case: tuple[NDArray[np.float64], list[int]],
) -> None:
    scores, labels = case
    bins: dict[int, list[Fraction]] = {}
    for row, label in zip(scores, labels, strict=True):
        best = int(row.argmax())
        confidence = Fraction(round(row[best] * 30), 30)
        # The bin m is (m - 1)/15 < confidence <= m/15, and the first one takes 0 as well.
        place = next(m for m in range(1, 16) if confidence <= Fraction(m, 15))
        bins.setdefault(place, []).append((best == label) - confidence)
    expected = sum(abs(sum(gaps)) for gaps in bins.values()) / len(labels)
    got = score("calibration-error", results(scores), labels)
    assert got == pytest.approx(float(expected), abs=1e-12)


@settings(deadline=None)
@given(st.integers(3, 6), st.integers(0, 2**32 - 1))
def test_top_k_is_scikit_learns_where_no_scores_are_equal(classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.permuted(np.tile(np.arange(classes), (9, 1)), axis=1)
    labels = generator.integers(0, classes, 9)
    for k in range(1, classes):
        expected = top_k_accuracy_score(labels, scores, k=k, labels=range(classes))
        assert score(f"top-{k}", results(scores), labels.tolist()) == expected
