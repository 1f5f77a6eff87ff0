import math
import subprocess
import sys

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.metrics import RELATIVE_ERROR, TOP1_AGREEMENT, agreement_for, metric_for
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.tensors import Tensors

TASK = Classify(labels=("a", "b", "c"))


def outputs(*rows: list[float]) -> list[tuple[np.ndarray, ...]]:
    return [(np.array([row], np.float32),) for row in rows]


def test_accuracy_is_the_share_of_right_answers() -> None:
    results = TASK.decode((np.array([[3, 1, 1], [1, 3, 1], [1, 1, 3], [3, 1, 1]], np.float32),))
    metric = metric_for(TASK, "accuracy")
    assert metric.score(results, [0, 1, 2, 1]) == 0.75
    assert metric.higher_is_better


@pytest.mark.parametrize(
    ("task", "name", "end"),
    [
        (TASK, "acuracy", "task 'classify', got 'acuracy'; did you mean 'accuracy'?"),
        (TASK, "mAP", "task 'classify', got 'mAP'; it can be scored by 'accuracy'"),
        (Tensors(), "accuracy", "task 'tensors', got 'accuracy'; it can be scored by nothing"),
    ],
    ids=["near miss", "another", "no metrics"],
)
def test_a_metric_that_the_task_has_not_is_refused(
    task: Classify | Tensors, name: str, end: str
) -> None:
    with pytest.raises(RecipeError, match=r"^budget\.metric") as caught:
        metric_for(task, name)
    assert str(caught.value) == f"budget.metric: must be a metric of {end}"


def test_the_reference_library_waits_until_it_is_needed() -> None:
    code = "import sys, edgeprep.metrics; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_top1_agreement_counts_samples_with_the_same_best_class() -> None:
    ours = outputs([1, 2, 3], [3, 2, 1], [9, 0, 0], [0, 1, 0])
    theirs = outputs([0, 0, 1], [1, 0, 0], [0, 5, 0], [4, 5, 3])
    assert TOP1_AGREEMENT.score(ours, theirs) == 0.75


def test_relative_error_is_that_of_the_worst_sample_and_output() -> None:
    theirs = [(np.array([3.0, 0.0]), np.array([1.0])), (np.array([0.0, 4.0]), np.array([2.0]))]
    ours = [(np.array([3.0, 0.3]), np.array([1.0])), (np.array([0.0, 4.0]), np.array([1.5]))]
    # The largest difference over the largest output: 0.3 of 3, and 0.5 of 2.
    assert RELATIVE_ERROR.score(ours, theirs) == pytest.approx(0.25, rel=1e-12)
    assert RELATIVE_ERROR.score(ours[:1], theirs[:1]) == pytest.approx(0.1, rel=1e-12)
    assert not RELATIVE_ERROR.higher_is_better


@pytest.mark.parametrize(("ours", "error"), [(0.0, 0.0), (1e-30, math.inf)])
def test_relative_error_against_zero_is_all_or_nothing(ours: float, error: float) -> None:
    assert RELATIVE_ERROR.score([(np.array([ours]),)], [(np.array([0.0]),)]) == error


def test_tasks_with_classes_agree_by_class_and_others_by_number() -> None:
    assert agreement_for(TASK) is TOP1_AGREEMENT
    assert agreement_for(Tensors()) is RELATIVE_ERROR
