"""Average precision: what pycocotools says of files, and values by hand."""

import json
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgeprep.errors import DataError
from edgeprep.metrics import metric_for, table_of
from edgeprep.metrics.class_score import BoxScore
from edgeprep.tasks.detect import Detect
from edgeprep.truths import Boxes

TASK = Detect(labels=("ant", "bee", "cat", "dog"))
NAMES = ("map", "ap50", "ap75")
# The numbers of categories in the files: not from 0 on, and not without gaps.
CATEGORIES = (3, 7, 18, 90)


def found(boxes: Any, scores: Any, classes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        boxes=np.asarray(boxes, np.float64).reshape(-1, 4),
        scores=np.asarray(scores, np.float32),
        classes=np.asarray(classes, np.int64),
    )


NOTHING = found([], [], [])


def scores(predictions: Any, truths: Any) -> list[float]:
    return [metric_for(TASK, name).score(predictions, truths) for name in NAMES]


def draw(generator: np.random.Generator) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Objects of 30 pictures and what was found of them, as COCO writes them into files.

    Some are crowds, some pictures have nothing, some have more than 100 boxes of a class, none has
    objects of the last category.
    """
    objects, results = [], []
    for image in range(1, 31):
        for _ in range(generator.integers(0, 6)):
            x, y, width, height = generator.uniform(5, 90, 4).round(2).tolist()
            category = CATEGORIES[generator.integers(3)]
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": [x, y, width, height],
                    "area": width * height * float(generator.uniform(0.3, 1)),
                    "iscrowd": int(generator.random() < 0.15),
                }
            )
            for _ in range(generator.integers(0, 60 if image == 5 else 4)):
                moved = np.array([x, y, width, height]) + generator.normal(0, 2, 4)
                wrong = generator.random() < 0.2
                results.append(
                    {
                        "image_id": image,
                        "category_id": CATEGORIES[generator.integers(4)] if wrong else category,
                        "bbox": [*moved[:2].tolist(), *np.maximum(moved[2:], 1).tolist()],
                        # Few values, so that many are equal.
                        "score": float(np.float32(generator.integers(1, 40) / 40)),
                    }
                )
    return objects, results


def as_corners(rows: list[dict[str, Any]]) -> np.ndarray:
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)


def classes_of(rows: list[dict[str, Any]]) -> list[int]:
    return [CATEGORIES.index(row["category_id"]) for row in rows]


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_that_pycocotools_gives_for_files(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects, results = draw(np.random.default_rng(seed))
    document = {
        "images": [{"id": image, "width": 200, "height": 200} for image in range(1, 31)],
        "categories": [{"id": number, "name": str(number)} for number in CATEGORIES],
        "annotations": objects,
    }
    (tmp_path / "truth.json").write_text(json.dumps(document))
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()

    truths, predictions = [], []
    for image in range(1, 31):
        here = [one for one in objects if one["image_id"] == image]
        ours = [one for one in results if one["image_id"] == image]
        crowd, areas = [one["iscrowd"] for one in here], [one["area"] for one in here]
        truths.append(Boxes.of(as_corners(here), classes_of(here), crowd, areas))
        worth = [one["score"] for one in ours]
        predictions.append(found(as_corners(ours), worth, classes_of(ours)))
    assert scores(predictions, truths) == pytest.approx(evaluation.stats[:3], abs=1e-9)
    assert 0.1 < evaluation.stats[0] < 0.9
    # The reference prints; whoever asks for a score does not want that.
    assert capsys.readouterr() == ("", "")

    measure = table_of(TASK)
    rows = measure.per_class(measure.take(predictions, truths), 4).rows
    precision = evaluation.eval["precision"][..., 0, -1]
    for index, row in enumerate(rows[:3]):
        assert row.ap == pytest.approx(precision[:, :, index].mean(), abs=1e-9)
        assert row.ap50 == pytest.approx(precision[0, :, index].mean(), abs=1e-9)
        assert row.ap75 == pytest.approx(precision[5, :, index].mean(), abs=1e-9)
        count = [one["category_id"] for one in objects if not one["iscrowd"]]
        assert row.objects == count.count(CATEGORIES[index])
    assert rows[3] == BoxScore(ap=None, ap50=None, ap75=None, objects=0)


def test_an_overlap_of_two_thirds_is_right_for_some_of_the_overlaps() -> None:
    # 10 × 8 of 10 × 12 pixels: two thirds, which is enough for 0.5, 0.55, 0.6 and 0.65.
    truths = [Boxes.of([[0, 0, 10, 12]], [1])]
    assert scores([found([[0, 0, 10, 8]], [0.9], [1])], truths) == pytest.approx([0.4, 1.0, 0.0])


def test_half_of_the_objects_found_is_a_precision_of_1_up_to_a_recall_of_a_half() -> None:
    truths = [Boxes.of([[0, 0, 9, 9], [20, 20, 29, 29]], [0, 0])]
    # Of the 101 recalls 0, 0.01, … 1, those up to 0.5 are 51.
    expected = pytest.approx([51 / 101] * 3)
    assert scores([found([[0, 0, 9, 9]], [0.9], [0])], truths) == expected


def test_what_is_found_in_a_crowd_counts_for_nobody() -> None:
    truths = [Boxes.of([[0, 0, 9, 9], [50, 50, 150, 150]], [0, 0], crowd=[False, True])]
    inside = found([[60, 60, 70, 70], [80, 80, 90, 90], [0, 0, 9, 9]], [0.9, 0.8, 0.7], [0, 0, 0])
    assert scores([inside], truths) == pytest.approx([1.0, 1.0, 1.0])


def test_nothing_found_at_all_is_0() -> None:
    truths = [Boxes.of([[0, 0, 9, 9]], [2]), Boxes.of([], [])]
    assert scores([NOTHING, NOTHING], truths) == [0.0, 0.0, 0.0]


def test_no_false_alarm_in_empty_pictures_costs_nothing_and_one_does() -> None:
    truths = [Boxes.of([[0, 0, 9, 9]], [2]), Boxes.of([], [])]
    right = found([[0, 0, 9, 9]], [0.5], [2])
    assert scores([right, NOTHING], truths) == pytest.approx([1.0, 1.0, 1.0])
    alarm = found([[0, 0, 9, 9]], [0.9], [2])
    assert scores([right, alarm], truths) == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("name", NAMES)
def test_without_any_object_there_is_no_precision(name: str) -> None:
    crowd = Boxes.of([[0, 0, 9, 9]], [0], crowd=[True])
    with pytest.raises(DataError, match=f"^{name}") as caught:
        metric_for(TASK, name).score([found([[0, 0, 9, 9]], [0.9], [0]), NOTHING], [crowd, crowd])
    assert str(caught.value) == (
        f"{name}: needs at least one object among the truths, crowds left out, "
        "got none in 2 samples"
    )


def test_what_other_threads_say_is_not_swallowed(capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    corners = np.sort(generator.uniform(0, 90, (400, 2, 2)), axis=1).reshape(-1, 4)
    truths = [Boxes.of(corners, np.arange(400) % 4)] * 10
    predictions = [found(corners, np.ones(400), np.arange(400) % 4)] * 10
    said, done = [0], Event()

    def say() -> None:
        while not done.is_set():
            print("line")
            said[0] += 1

    speaker = Thread(target=say)
    speaker.start()
    score = metric_for(TASK, "map").score(predictions, truths)
    done.set()
    speaker.join()
    assert score == pytest.approx(1.0)
    # What the reference itself says is not among them.
    assert capsys.readouterr().out == "line\n" * said[0]
