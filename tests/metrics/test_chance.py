"""What answering without a look scores."""

import pytest

from edgeprep.metrics import metric_for
from edgeprep.metrics.chance import compare_with_chance
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.tensors import Tensors

TASK = Classify(labels=("cat", "dog", "owl"))
# Two of five.
LABELS = (0, 1, 1, 2, 0)


@pytest.mark.parametrize(
    ("metric", "labels", "score", "words"),
    [
        (
            "accuracy",
            LABELS,
            0.4,
            "accuracy 0.4000, no better than always answering 'cat', which scores 0.4000",
        ),
        ("accuracy", LABELS, 0.6, ""),
        (
            "accuracy",
            (1, 1, 1, 2),
            0.5,
            "accuracy 0.5000, no better than always answering 'dog', which scores 0.7500",
        ),
        # Of "cat" 2 · 0.4 · 1 / 1.4, of the others nothing.
        (
            "f1-macro",
            LABELS,
            0.19,
            "f1-macro 0.1900, no better than always answering 'cat', which scores 0.1905",
        ),
        ("f1-macro", LABELS, 0.2, ""),
        (
            "roc-auc",
            LABELS,
            0.5,
            "roc-auc 0.5000, no better than always answering 'cat', which scores 0.5000",
        ),
        # One class has nothing that it could be taken for.
        ("accuracy", (1, 1), 1.0, ""),
        ("accuracy", (), 0.0, ""),
        # The lower the better: what is always unsure is calibrated, whatever it knows.
        ("calibration-error", LABELS, 0.9, ""),
    ],
)
def test_a_score_is_held_against_the_commonest_class(metric, labels, score, words):
    assert compare_with_chance(TASK, metric_for(TASK, metric), labels, score) == words


def test_nothing_is_said_of_what_has_no_classes():
    accuracy = metric_for(TASK, "accuracy")
    assert compare_with_chance(Tensors(), accuracy, LABELS, 0.0) == ""
