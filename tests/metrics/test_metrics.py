import math
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeprep.errors import PluginError, RecipeError
from edgeprep.metrics import (
    TOP1_AGREEMENT,
    Measure,
    agreement_for,
    metric_for,
    metrics_of,
)
from edgeprep.registry import Registry
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.plugin import HOMES
from edgeprep.tasks.segment import Segment
from edgeprep.tasks.tensors import Tensors
from edgeprep.truths import Mask

NAMES = (
    "'accuracy', 'top-5', 'precision-macro', 'precision-micro', 'recall-macro', 'recall-micro', "
    "'f1-macro', 'f1-micro', 'roc-auc', 'calibration-error'"
)
TOP_5 = "'top-5', "
OTHERS = (
    "'average-precision', 'label-f1-macro', 'label-f1-micro', 'subset-accuracy', "
    "'map', 'ap50', 'ap75', 'mean-iou', 'pixel-accuracy', 'dice', 'psnr', 'ssim', "
    "'mean-absolute-error', 'root-mean-square-error', 'delta-1', 'recall-at-1', 'recall-at-5'"
)
TASK = Classify(labels=("a", "b", "c"))
WITH_LABELS = ("classify", "detect", "multilabel", "segment", "video-classify")
SIX = Classify(labels=tuple("abcdef"))


def outputs(*rows: list[float]) -> list[tuple[np.ndarray, ...]]:
    return [(np.array([row], np.float32),) for row in rows]


def test_accuracy_is_the_share_of_right_answers() -> None:
    rows = outputs([3, 1, 1], [1, 3, 1], [1, 1, 3], [3, 1, 1])
    results = [TASK.decode(row) for row in rows]
    metric = metric_for(TASK, "accuracy")
    assert metric.score(results, [0, 1, 2, 1]) == 0.75
    assert metric.higher_is_better


@pytest.mark.parametrize(
    ("task", "name", "end"),
    [
        (TASK, "acuracy", "task 'classify', got 'acuracy'; did you mean 'accuracy'?"),
        (
            TASK,
            "mAP",
            f"task 'classify', got 'mAP'; it can be scored by {NAMES.replace('top-5', 'top-2')}",
        ),
        (TASK, "f1", "task 'classify', got 'f1'; did you mean 'f1-macro' or 'f1-micro'?"),
        (TASK, "top", "task 'classify', got 'top'; did you mean 'top-2'?"),
        (TASK, "top5", "task 'classify', got 'top5'; did you mean 'top-2'?"),
        (SIX, "top5", "task 'classify', got 'top5'; did you mean 'top-5'?"),
        (TASK, "top--1", "task 'classify', got 'top--1'; did you mean 'top-2'?"),
        (Tensors(), "top-1", "task 'tensors', got 'top-1'; it can be scored by nothing"),
        (Tensors(), "accuracy", "task 'tensors', got 'accuracy'; it can be scored by nothing"),
    ],
    ids=[
        "near miss",
        "another",
        "family",
        "top without k",
        "top-k of few classes",
        "top-k",
        "below zero",
        "top-k of no classes",
        "no metrics",
    ],
)
def test_a_metric_that_the_task_has_not_is_refused(
    task: Classify | Tensors, name: str, end: str
) -> None:
    with pytest.raises(RecipeError, match=r"^budget\.metric") as caught:
        metric_for(task, name)
    assert str(caught.value) == f"budget.metric: must be a metric of {end}"


@pytest.mark.parametrize("name", ["top-3", "top-5"])
def test_a_top_k_that_holds_all_classes_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"^evaluate\.metrics") as caught:
        metric_for(TASK, name, "evaluate.metrics")
    assert str(caught.value) == (
        f"evaluate.metrics: k must be below the number of classes, which is 3, got {name!r}; "
        "that is 1 whatever is predicted"
    )


def test_a_top_k_that_holds_no_class_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"^budget\.metric: k must be at least 1, got 'top-0'$"):
        metric_for(TASK, "top-0")


def test_a_task_of_a_plugin_with_a_metric_that_there_is_not_is_at_fault() -> None:
    class Strange(Tensors):
        name = "strange"
        metrics = ("mood",)

    with pytest.raises(PluginError, match=r"^task 'strange'") as caught:
        metric_for(Strange(), "mood")
    assert str(caught.value) == (
        f"task 'strange': metrics must be among {NAMES.replace(TOP_5, '')}, {OTHERS}, got 'mood'"
    )


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("ab", ()), ("abc", ("top-2",)), ("abcde", ("top-2",)), ("abcdef", ("top-5",))],
)
def test_all_metrics_of_a_task_have_a_top_k_that_says_something(
    classes: str, expected: tuple[str, ...]
) -> None:
    names = [metric.name for metric in metrics_of(Classify(labels=tuple(classes)))]
    assert tuple(name for name in names if name.startswith("top-")) == expected
    others = [name for name in Classify.metrics if name != "top-5"]
    assert [name for name in names if name not in expected] == others


def test_a_task_without_metrics_has_none() -> None:
    assert metrics_of(Tensors()) == ()


def test_only_the_calibration_error_is_better_when_lower() -> None:
    lower = [m.name for m in metrics_of(TASK) if not m.higher_is_better]
    assert lower == ["calibration-error"]


def test_the_reference_library_waits_until_it_is_needed() -> None:
    code = (
        "import sys, edgeprep.metrics\n"
        "sys.exit(bool({'sklearn', 'skimage', 'pycocotools'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_top1_agreement_counts_samples_with_the_same_best_class() -> None:
    ours = outputs([1, 2, 3], [3, 2, 1], [9, 0, 0], [0, 1, 0])
    theirs = outputs([0, 0, 1], [1, 0, 0], [0, 5, 0], [4, 5, 3])
    assert TOP1_AGREEMENT.score(ours, theirs) == 0.75


def test_relative_error_is_that_of_the_worst_sample_and_output() -> None:
    theirs = [(np.array([3.0, 0.0]), np.array([1.0])), (np.array([0.0, 4.0]), np.array([2.0]))]
    ours = [(np.array([3.0, 0.3]), np.array([1.0])), (np.array([0.0, 4.0]), np.array([1.5]))]
    # The largest difference over the largest output: 0.3 of 3, and 0.5 of 2.
    assert agreement_for(Tensors()).score(ours, theirs) == pytest.approx(0.25, rel=1e-12)
    assert agreement_for(Tensors()).score(ours[:1], theirs[:1]) == pytest.approx(0.1, rel=1e-12)
    assert not agreement_for(Tensors()).higher_is_better


@pytest.mark.parametrize(("ours", "error"), [(0.0, 0.0), (1e-30, math.inf)])
def test_relative_error_against_zero_is_all_or_nothing(ours: float, error: float) -> None:
    assert agreement_for(Tensors()).score([(np.array([ours]),)], [(np.array([0.0]),)]) == error


def test_pixels_agree_that_are_of_the_same_class() -> None:
    ours = [(np.array([[[[3, 1]], [[1, 2]], [[0, 0]]]]),), (np.array([[[[1]], [[0]], [[0]]]]),)]
    theirs = [(np.array([[[[9, 8]], [[1, 2]], [[0, 0]]]]),), (np.array([[[[2]], [[1]], [[1]]]]),)]
    # Half of the first, which has two pixels, and all of the second.
    assert agreement_for(Segment(labels=("a", "b", "c"))).score(ours, theirs) == 0.75


def test_pixels_agree_as_the_task_reads_them() -> None:
    ours, theirs = np.array([[[[-1.0, 0.5, 2.0, -3.0]]]]), np.array([[[[-5.0, 0.1, -0.1, 3.0]]]])
    logits = agreement_for(Segment(labels=("a", "b"), scores="sigmoid"))
    assert logits.name == "pixel agreement"
    assert logits.score([(ours,)], [(theirs,)]) == 0.5
    ours, theirs = np.array([[[[0.1, 0.6, 0.7, 0.9]]]]), np.array([[[[0.4, 0.4, 0.8, 0.1]]]])
    probabilities = agreement_for(Segment(labels=("a", "b"), scores="none"))
    assert probabilities.score([(ours,)], [(theirs,)]) == 0.5
    ours, theirs = np.array([[[0, 1, 2, 0]]]), np.array([[[0, 1, 1, 2]]])
    classes = agreement_for(Segment(labels=("a", "b", "c"), scores="classes"))
    assert classes.score([(ours,)], [(theirs,)]) == 0.5


def test_tasks_agree_by_class_by_pixels_or_by_number() -> None:
    assert agreement_for(TASK) is TOP1_AGREEMENT
    assert agreement_for(Segment(labels=("a", "b"))).name == "pixel agreement"
    assert agreement_for(Tensors()).name == "relative error"
    assert agreement_for(Detect(labels=("a",))).name == "relative error"
    assert agreement_for(MultiLabel(labels=("a",))).name == "relative error"


@pytest.mark.parametrize("name", list(HOMES))
def test_every_metric_of_a_built_in_task_is_there(name: str) -> None:
    cls: Any = Registry(installed=False).get("task", name)
    wanted = set(cls.metrics) - {"top-5"}
    fields = {"labels": ("a", "b")} if name in WITH_LABELS else {}
    assert {metric.name for metric in metrics_of(cls(**fields))} == wanted


def test_what_metrics_share_is_taken_once() -> None:
    task = Segment(labels=("a", "b"))
    walks: list[int] = []

    class Results(list[Any]):
        def __iter__(self) -> Any:
            walks.append(1)
            return super().__iter__()

    results = Results([SimpleNamespace(classes=np.array([[0, 1]], np.uint8))])
    taken: dict[Measure, Any] = {}
    truths = [Mask(np.array([[0, 0]], np.uint8))]
    scores = [metric.score_once(results, truths, taken) for metric in metrics_of(task)]
    assert scores == [metric.score(list(results), truths) for metric in metrics_of(task)]
    assert len(walks) == 1 + len(scores)
