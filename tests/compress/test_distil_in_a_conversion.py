"""Distillation from a recipe to a bundle, and a training that was ended on its way."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgeprep import convert
from edgeprep.bundle import open_bundle

FILES = {
    "model.py": """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, width, 1), nn.ReLU())
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.layer(x).mean((2, 3)))


class Wise(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    # It sees -1..1, one quarter of each picture.
    def forward(self, x):
        return 8 * self.layer(x).mean((2, 3))


def build():
    torch.manual_seed(0)
    return Net(4)
""",
    "data.py": """
import numpy as np


def pictures(seed=0, labelled=True):
    random = np.random.default_rng(seed)
    for index in range(48):
        picture = random.integers(0, 160, (8, 8, 3))
        picture[..., index % 3] += 80
        yield picture.astype(np.uint8), index % 3 if labelled else None
""",
    "wise/recipe.toml": """
name = "wise"
[model]
factory = "model:Wise"
[task]
use = "classify"
labels = ["red", "green", "blue"]
[[preprocess]]
use = "center-crop"
size = [4, 4]
[[preprocess]]
use = "scale"
to = "-1..1"
[data]
calibration = { use = "random", samples = 2 }
[[target]]
format = "onnx"
precision = ["fp32"]
""",
    "recipe.toml": """
name = "pupil"
[input]
size = [8, 8]
[model]
factory = "model:build"
[task]
use = "classify"
labels = ["blue", "red", "green"]
[[preprocess]]
use = "scale"
[data]
training = { factory = "data:pictures", arguments = { labelled = false } }
evaluation = { factory = "data:shifted", arguments = { seed = 1 } }
[train]
batch = 16
learning_rate = 0.1
[[compress]]
use = "distil"
teacher = "wise"
epochs = 5
hints = [{ student = "layer", teacher = "layer", weight = 0.1 }]
[[target]]
format = "onnx"
precision = ["fp32"]
""",
}
# The labels of the student are in another order than the colours.
SHIFTED = """

def shifted(seed):
    return ((picture, (label + 1) % 3) for picture, label in pictures(seed))
"""

Progress = Callable[[str], AbstractContextManager[Callable[[str], None]]]


class Ended(BaseException):
    """As if the process were killed."""


def ends_at(title: str) -> Progress:
    @contextmanager
    def progress(step: str) -> Iterator[Callable[[str], None]]:
        if step == title:
            raise Ended("killed")
        yield lambda outcome: None

    return progress


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "data.py").write_text(FILES["data.py"] + SHIFTED)
    (tmp_path / "wise" / "model.py").write_text(FILES["model.py"])
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "first"))
    return tmp_path / "recipe.toml"


def score(bundle: Path) -> Any:
    (variant,) = open_bundle(bundle).manifest.variants
    assert variant.metric is not None
    return variant.metric.value, open_bundle(bundle).model(variant).files["model.onnx"]


def test_a_killed_distillation_goes_on_and_comes_to_the_same_student(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = recipe.parent
    convert(recipe, directory / "whole.edgeprep")
    accuracy, whole = score(directory / "whole.edgeprep")
    # Without a label, by a teacher that sees another part of each picture, in other numbers, and
    # has its classes in another order. A guess is right in a third.
    assert accuracy > 0.9

    monkeypatch.setenv("EDGEPREP_CACHE", str(directory / "second"))
    with pytest.raises(Ended, match="killed"):
        convert(recipe, directory / "b.edgeprep", progress=ends_at("epoch 4 of 5"))
    with pytest.raises(Ended, match="killed"):
        convert(recipe, directory / "b.edgeprep", progress=ends_at("epoch 5 of 5"))
    # Epochs that are over are not gone through again.
    convert(recipe, directory / "b.edgeprep", progress=ends_at("epoch 4 of 5"))
    assert score(directory / "b.edgeprep") == (accuracy, whole)

    # All of it is kept, until the teacher becomes another one.
    convert(recipe, directory / "c.edgeprep", progress=ends_at("epoch 5 of 5"))
    model = directory / "wise" / "model.py"
    model.write_text(model.read_text().replace("8 *", "9 *"))
    with pytest.raises(Ended, match="killed"):
        convert(recipe, directory / "d.edgeprep", progress=ends_at("epoch 5 of 5"))
