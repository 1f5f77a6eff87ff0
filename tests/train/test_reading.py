"""Data that say nothing are refused before anything is learned from them."""

import pytest

from edgeprep.errors import DataError
from edgeprep.train import train_recipe

MODEL = """
import torch


class Cells(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.boxes, self.scores = (torch.nn.Conv2d(3, count, 8, 8) for count in (4, 2))

    def forward(self, x):
        return self.boxes(x), self.scores(x)


def cells():
    return Cells()


def maps(count):
    return torch.nn.Conv2d(3, count, 1)


def classes():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
"""
DATA = """
import numpy as np


def pictures(kind, told):
    for index in range(4):
        yield np.full((8, 8, 3), 40 * index, np.uint8), LABELS[kind](told and index == 3)


def boxes(told):
    return {"boxes": [[0, 0, 8, 8]], "classes": [0], "crowd": [not told]}


def mask(told):
    told = np.uint8(range(64)).reshape(8, 8) % 2 if told else np.uint8(255)
    return np.broadcast_to(told, (8, 8))


def depth(told):
    return np.full((8, 8), 2 if told else np.nan, np.float32)


def several(told):
    return [0, 1] if told else [1]


LABELS = {"boxes": boxes, "mask": mask, "depth": depth, "several": several}
"""
RECIPE = """
name = "mute"
[model]
{model}
[task]
{task}
[input]
size = [8, 8]
[[preprocess]]
use = "scale"
[data.training]
factory = "data:pictures"
arguments = {{ kind = "{kind}", told = {told} }}
[train]
epochs = 1
batch = 2
"""
COLUMNS = (
    'boxes = { axis = "second", form = "distances", priors = { strides = [8] } }\n'
    'scores = { output = 1, axis = "second" }'
)
KINDS = {
    "boxes": ('factory = "model:cells"', f'use = "detect"\nlabels = ["a", "b"]\n{COLUMNS}'),
    "mask": (
        'factory = "model:maps"\narguments = { count = 2 }',
        'use = "segment"\nlabels = ["a", "b"]',
    ),
    "depth": ('factory = "model:maps"\narguments = { count = 1 }', 'use = "depth"'),
    "several": ('factory = "model:classes"', 'use = "multilabel"\nlabels = ["a", "b"]'),
}
WHAT = {"boxes": "objects", "mask": "pixels of a class", "depth": "known pixels"}


@pytest.fixture
def write(tmp_path):
    def write(kind, *, told):
        (tmp_path / "model.py").write_text(MODEL)
        (tmp_path / "data.py").write_text(DATA)
        model, task = KINDS[kind]
        recipe = tmp_path / "recipe.toml"
        known = str(told).lower()
        recipe.write_text(RECIPE.format(model=model, task=task, kind=kind, told=known))
        return recipe

    return write


@pytest.mark.parametrize("kind", WHAT)
def test_data_that_say_nothing_are_refused(kind, write, tmp_path):
    message = rf"^data\.training: must have {WHAT[kind]} to learn from, got none in 4 pictures$"
    with pytest.raises(DataError, match=message):
        train_recipe(write(kind, told=False), tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_that_says_something_is_enough(kind, write, tmp_path):
    assert train_recipe(write(kind, told=True), tmp_path / "out") is not None
