"""Scores of outputs: all metrics of each kind of task, and its own table of classes."""

from typing import Any

import numpy as np
import pytest

from edgeprep.conversion.evaluation import SOURCE, Score
from edgeprep.conversion.scoring import Scoring
from edgeprep.data import Prepared
from edgeprep.errors import DataError
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.interfaces import Task
from edgeprep.metrics import metrics_of
from edgeprep.metrics.class_score import BoxScore, PixelScore, PresenceScore
from edgeprep.runtime.timing import Timing
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.embed import Embed
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
from edgeprep.truths import Boxes, Classes, Map, Mask, Picture

TIMING = Timing(median_ms=1.0, p90_ms=1.0)
SIDE = 8
FRAME = Frame(SIDE, SIDE, (SIDE, SIDE), (IDENTITY,))


def scored(task: Task, outputs: list[tuple[Any, ...]], truths: list[Any], **options: Any) -> Score:
    count = len(truths)
    samples = Prepared(
        inputs=np.zeros((count, SIDE, SIDE, 3), np.uint8),
        labels=tuple(truths),
        skipped=(),
        frames=(FRAME,) * count,
    )
    scoring = Scoring(task=task, metrics=metrics_of(task), **options)
    given = [tuple(np.asarray(each, np.float32) for each in output) for output in outputs]
    return scoring.score(SOURCE, given, samples, TIMING, {task.metrics[0]: 0.75})


def test_boxes_have_their_precisions_and_no_confusion() -> None:
    task = Detect(labels=("ant", "bee"))
    score = scored(
        task,
        # Boxes as corners in pixels, and logits: an ant and nothing else, of an ant and a bee.
        [([[[0, 0, 4, 4], [4, 4, 8, 8]]], [[[9, -9], [-9, -9]]])],
        [Boxes.of([[0, 0, 4, 4], [4, 4, 8, 8]], [0, 1])],
    )
    assert score.values == pytest.approx({"map": 0.5, "ap50": 0.5, "ap75": 0.5})
    assert score.drops == pytest.approx({"map": 0.25})
    ant, bee = score.classes
    assert isinstance(ant, BoxScore)
    assert (ant.ap, ant.objects) == (pytest.approx(1.0), 1)
    assert bee == BoxScore(ap=0.0, ap50=0.0, ap75=0.0, objects=1)
    assert score.confusion is None


def test_pixels_have_their_overlaps_and_a_confusion() -> None:
    maps = np.zeros((1, 2, SIDE, SIDE))
    maps[0, 1, :, :4] = 5.0
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[:, :2], truth[:, 7] = 1, 255
    score = scored(Segment(labels=("paper", "ant")), [(maps,)], [Mask(truth)])
    assert score.classes == (
        PixelScore(iou=24 / 40, dice=48 / 64, pixels=40),
        PixelScore(iou=16 / 32, dice=32 / 48, pixels=16),
    )
    assert score.confusion is not None
    assert score.confusion.tolist() == [[24, 16], [0, 16]]
    assert score.values["mean-iou"] == pytest.approx((24 / 40 + 16 / 32) / 2)
    assert score.to_json("mean-iou", ("paper", "ant"))["classes"][1]["label"] == "ant"


def test_several_classes_have_their_own_table() -> None:
    task = MultiLabel(labels=("a", "b"))
    truths = [Classes(np.array([True, False])), Classes(np.array([True, True]))]
    score = scored(task, [([[4.0, -4.0]],), ([[4.0, -4.0]],)], truths)
    first, second = score.classes
    assert first == PresenceScore(
        average_precision=1.0, precision=1.0, recall=1.0, f1=1.0, samples=2
    )
    assert isinstance(second, PresenceScore)
    assert (second.precision, second.recall, second.samples) == (None, 0.0, 1)
    assert score.values["subset-accuracy"] == 0.5


@pytest.mark.parametrize(
    ("task", "outputs", "truths", "value"),
    [
        (
            Restore(),
            [(np.full((1, 3, SIDE, SIDE), 101 / 255),)],
            [Picture(np.full((SIDE, SIDE, 3), 100, np.uint8))],
            20 * np.log10(255),
        ),
        (
            Depth(),
            [(np.full((1, 1, SIDE, SIDE), 2.0),)],
            [Map(np.full((SIDE, SIDE), 3, np.float32))],
            1.0,
        ),
        (Embed(labels=("a", "b")), [([[1.0, 0.0]],), ([[1.0, 0.1]],)], [1, 1], 1.0),
    ],
    ids=["restore", "depth", "embed"],
)
def test_results_that_name_no_class_have_no_table(
    task: Task, outputs: list[Any], truths: list[Any], value: float
) -> None:
    score = scored(task, outputs, truths)
    assert set(score.values) == set(task.metrics)
    assert score.values[task.metrics[0]] == pytest.approx(value, abs=1e-6)
    assert (score.classes, score.confusion) == ((), None)
    assert Scoring(task=task, metrics=()).labels == ()


def test_an_output_is_decoded_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = Segment.decode

    def counted(self: Segment, *given: Any) -> Any:
        decoded.append(1)
        return decode(self, *given)

    monkeypatch.setattr(Segment, "decode", counted)
    maps = np.zeros((1, 2, SIDE, SIDE))
    scored(Segment(labels=("a", "b")), [(maps,)] * 3, [Mask(np.zeros((SIDE, SIDE), np.uint8))] * 3)
    assert len(decoded) == 3


def test_data_without_objects_are_an_error_or_a_reason() -> None:
    task = Detect(labels=("ant",))
    outputs, truths = [([[[0, 0, 4, 4]]], [[[9]]])], [Boxes.of([], [])]
    reason = "needs at least one object among the truths, crowds left out, got none in 1 samples"
    with pytest.raises(DataError, match=f"^map: {reason}$"):
        scored(task, outputs, truths)
    undefined: dict[str, str] = {}
    score = scored(task, outputs, truths, undefined=undefined)
    assert undefined == {name: f"{name}: {reason}" for name in task.metrics}
    assert score.classes == (BoxScore(ap=None, ap50=None, ap75=None, objects=0),)
