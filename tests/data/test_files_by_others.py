"""Files that others wrote in published formats (written_by_others/write.py), read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprep.data import Samples, build_reader
from edgeprep.interfaces import Task
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.detect import Detect

HERE = Path(__file__).parent / "written_by_others"
CONTENTS = json.loads((HERE / "contents.json").read_text())
LABELS = tuple(CONTENTS["labels"])


def read(task: Task, **table: Any) -> Samples:
    return build_reader(table, "data").open(directory=HERE, where="data", task=task)


def boxes_of(samples: Samples) -> list[list[list[float]]]:
    """Of every sample its objects: class, then corners."""
    return [
        [[float(kind), *box] for kind, box in zip(truth.classes, truth.corners, strict=True)]
        for _, truth in samples
    ]


def written(*names: str) -> list[list[list[float]]]:
    """What was written of pictures called `names`."""
    return [
        [[float(LABELS.index(label)), *corners] for label, *corners in CONTENTS["boxes"][name]]
        for name in names
    ]


@pytest.mark.parametrize(
    ("table", "apart"),
    [
        ({"use": "coco", "path": "coco_instances/annotations/instances_train.json",
          "pictures": "coco_instances/images/train"}, 0.0),
        # Six decimals of a side of 32.
        ({"use": "yolo", "path": "yolo/obj_train_data", "labels": "yolo/obj_train_data",
          "names": LABELS}, 1e-4),
        # VOC counts pixels from 1, and Datumaro from 0.
        ({"use": "voc", "path": "voc_detection", "corners": "exact"}, 0.0),
    ],
)  # fmt: skip
def test_boxes_are_those_that_were_written(table: dict[str, Any], apart: float) -> None:
    samples = read(Detect(labels=LABELS), **table)
    pictures = {picture.shape for picture, _ in samples}
    assert pictures == {(24, 32, 3)}
    found = sorted(boxes_of(samples))
    wanted = sorted(written("one", "two", "three"))
    assert [len(each) for each in found] == [len(each) for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=apart)


def test_digits_and_their_classes_are_those_that_were_written() -> None:
    samples = read(
        Classify(labels=tuple("0123456789")),
        use="mnist",
        path="digits-idx3-ubyte",
        labels="classes-idx1-ubyte",
    )
    rows, _ = np.mgrid[:28, :28]
    labels = []
    for index, (picture, label) in enumerate(samples):
        np.testing.assert_array_equal(picture, np.dstack([rows + index] * 3))
        labels.append(label)
    assert labels == CONTENTS["mnist"]
