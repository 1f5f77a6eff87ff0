"""The heads of detectors that the README describes are those of the networks that it names."""

import re
import tomllib
from pathlib import Path

import pytest

from edgeprep.schema import build
from edgeprep.tasks.detect import Detect
from edgeprep.tensors import TensorSpec

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def head(row):
    """The keys that the row of the table says."""
    (line,) = re.findall(rf"^\| {row}[^|]*\| (.*) \|$", README, re.MULTILINE)
    return tomllib.loads("\n".join(re.findall(r"`(\w+ = [^`]*)`", line)))


def yolo():
    (block,) = re.findall(r'```toml\n(\[task\]\nuse    = "detect"\n.*?)```', README, re.DOTALL)
    task = tomllib.loads(block)["task"]
    return {key: value for key, value in task.items() if key not in ("use", "labels")}


HEADS = {
    "YOLO, in a block": (yolo, 80, [(1, 84, 8400)]),
    "DETR": (lambda: head("DETR"), 91, [(1, 100, 92), (1, 100, 4)]),
    "cells": (
        lambda: head("cells without anchors"),
        10,
        [(1, 4, 12, 12), (1, 4, 6, 6), (1, 10, 12, 12), (1, 10, 6, 6)],
    ),
    "in the graph": (lambda: head("what suppresses in the graph"), 80, [(1, 300, 6)]),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_head_of_the_readme_fits_its_network(case):
    table, classes, shapes = HEADS[case]
    labels = [str(number) for number in range(classes)]
    task = build(Detect, {"labels": labels, **table()}, "task")
    task.check_outputs(
        tuple(
            TensorSpec(name=str(number), shape=shape, dtype="float32")
            for number, shape in enumerate(shapes)
        )
    )


def test_the_head_of_a_yolo_with_objectness_is_the_same_but_for_it():
    changed = {"scores": {**yolo()["scores"], "first": 5}, **head("YOLO as it is usually exported")}
    task = build(Detect, {"labels": ["ant"], **yolo(), **changed}, "task")
    task.check_outputs((TensorSpec(name="output", shape=(1, 6, 25200), dtype="float32"),))
