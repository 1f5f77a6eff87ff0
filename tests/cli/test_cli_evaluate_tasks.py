"""`edgeprep evaluate` of what is no class of a picture: each kind of task has its own columns."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NETS = """
import torch


class Painter(torch.nn.Module):
    # Right by construction: what is bright in red is an ant.
    def forward(self, x):
        red = x[:, :1]
        return torch.cat((-red, red), dim=1)


class Finder(torch.nn.Module):
    # Always the same two boxes, an ant and a bee.
    def __init__(self):
        super().__init__()
        self.register_buffer("boxes", torch.tensor([[[0.0, 0, 4, 4], [4, 4, 8, 8]]]))
        self.register_buffer("logits", torch.tensor([[[4.0, -9], [-9, 2.0]]]))

    def forward(self, x):
        return self.boxes + 0 * x.mean(), self.logits + 0 * x.mean()


class Bright(torch.nn.Module):
    # A level too bright.
    def forward(self, x):
        return x * 0.25 + 0.5 + 1 / 255
"""

SCENES = """
import numpy as np


def _scenes():
    for index in range(4):
        picture = np.full((8, 8, 3), 20, np.uint8)
        picture[:4, : 4 + index, 0] = 220
        yield index, picture


def masks():
    for index, picture in _scenes():
        mask = np.zeros((8, 8), np.uint8)
        mask[:4, :4] = 1
        yield picture, mask


def boxes():
    for index, picture in _scenes():
        yield picture, {"boxes": [[0, 0, 4, 4]], "classes": [0]}


def nothing():
    for index, picture in _scenes():
        yield picture, {"boxes": [], "classes": []}


def pictures():
    for index, picture in _scenes():
        yield picture, picture
"""

Evaluate = Callable[..., Any]


@pytest.fixture
def evaluate(edgeprep: Callable[..., Any], project: Callable[..., Path]) -> Evaluate:
    def run(task: str, net: str, scenes: str, *words: str) -> Any:
        labels = "" if task == "restore" else '\nlabels = ["paper", "ant"]'
        if task == "detect":
            labels = '\nlabels = ["ant", "bee"]'
        recipe = project(
            {
                'use    = "classify"\nlabels = ["red", "green", "blue"]': f'use = "{task}"{labels}',
                "model:build": f"nets:{net}",
                "data:pictures": f"scenes:{scenes}",
            }
        )
        (recipe.parent / "nets.py").write_text(NETS)
        (recipe.parent / "scenes.py").write_text(SCENES)
        return edgeprep("evaluate", recipe, "--report", "report", *words)

    return run


def table(name: str) -> list[list[str]]:
    with Path("report", name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_masks_are_scored_and_reported(evaluate: Evaluate) -> None:
    ended = evaluate("segment", "Painter", "masks", "--metrics", "all")
    assert (ended.code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[1].split()[4:7] == ["mean-iou", "pixel-accuracy", "dice"]
    # Of 4 · 16 pixels of ants all are found, and 4 · (0 + 1 + 2 + 3) others are taken for them.
    ant, paper = 64 / 88, (256 - 88) / (256 - 64)
    values = [(ant + paper) / 2, (256 - 24) / 256]
    assert lines[2].split()[3:5] == [f"{value:.4f}" for value in values]
    assert lines[-1] == "report: report, 5 files"
    head, first, second = table("classes-source-torch-cpu.csv")
    assert head == ["label", "iou", "dice", "pixels"]
    assert [first[0], float(first[1]), first[3]] == ["paper", pytest.approx(paper), "192"]
    assert [second[0], float(second[1]), second[3]] == ["ant", pytest.approx(ant), "64"]
    confusion = table("confusion-source-torch-cpu.csv")
    assert confusion[1:] == [["paper", "168", "24"], ["ant", "0", "64"]]
    assert Path("report/confusion-source-torch-cpu.png").stat().st_size > 0


def test_boxes_are_scored_and_reported(evaluate: Evaluate) -> None:
    ended = evaluate("detect", "Finder", "boxes", "--format", "json")
    assert (ended.code, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert (document["metric"], document["labels"]) == ("map", ["ant", "bee"])
    (candidate,) = document["candidates"]
    # There is no bee that could have been found: no class but that of the ants counts.
    assert candidate["value"] == pytest.approx(1.0)
    assert candidate["classes"][1] == {
        "label": "bee",
        "ap": None,
        "ap50": None,
        "ap75": None,
        "objects": 0,
    }
    assert candidate["confusion"] is None
    assert sorted(path.name for path in Path("report").iterdir()) == [
        "classes-source-torch-cpu.csv",
        "report.json",
        "scores.csv",
    ]
    assert table("classes-source-torch-cpu.csv")[0] == ["label", "ap", "ap50", "ap75", "objects"]


def test_data_without_objects_are_refused(evaluate: Evaluate) -> None:
    ended = evaluate("detect", "Finder", "nothing")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: map: needs at least one object among the truths, crowds left out, "
        "got none in 4 samples\n"
    )


def test_pictures_are_scored_in_decibels_and_have_no_table(evaluate: Evaluate) -> None:
    ended = evaluate("restore", "Bright", "pictures", "--metrics", "psnr,ssim")
    assert (ended.code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    # One level of 255, everywhere.
    assert lines[2].split()[3] == "48.1308"
    assert lines[-1] == "report: report, 2 files"
