"""A project that trains in a fraction of a second: which channel of a picture is the brightest."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeprep.interfaces import Task
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tasks.classify import Classify
from edgeprep.train import Fitted, TrainingData, fit, open_training
from edgeprep.train.network import start_network

LABELS = ("red", "green", "blue")
REGISTRY = Registry(installed=False)

MODEL = """
import torch


class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.BatchNorm2d(4), torch.nn.ReLU()
        )
        self.dropout = torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(4, classes)

    def forward(self, x):
        return self.head(self.dropout(self.features(x).mean((2, 3))))


def build(classes=3):
    return Net(classes)


def plain():
    # Nothing in it depends on what else is in a batch.
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
"""

DATA = """
import os
import numpy as np


def pictures(count=24, seed=3, epoch=0, labels=3):
    rng = np.random.default_rng([seed, epoch])
    for index in range(count):
        picture = rng.integers(0, 120, (9, 8, 3), dtype=np.uint8)
        picture[..., index % 3] += 40
        yield picture, index % labels


def unlabelled(count=24):
    for picture, _ in pictures(count):
        yield picture


def shrinking(epoch):
    return pictures(24 - epoch)


def failing(epoch):
    yield from pictures(12)
    if epoch:
        raise KeyError("hub")
    yield from pictures(12)


def dying(epoch):
    yield from pictures(12)
    if epoch:
        os._exit(7)
"""

RECIPE = """
name = "small"

[model]
factory = "model:build"

[task]
use    = "classify"
labels = ["red", "green", "blue"]

[[preprocess]]
use  = "resize"
size = [8, 8]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]

[data]
training   = { factory = "data:pictures" }
validation = { factory = "data:pictures", arguments = { count = 12, seed = 5 } }
evaluation = { factory = "data:pictures", arguments = { count = 15, seed = 7 } }

[[target]]
format    = "onnx"
precision = ["fp32"]

[train]
epochs        = 3
batch         = 8
learning_rate = 0.05
accelerator   = "cpu"
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Recipe]:
    """A recipe with its model and data; parts of its text can be replaced."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "model.py").write_text(MODEL)
    (directory / "data.py").write_text(DATA)

    def write(replace: Mapping[str, str] | None = None, *, train: str = "") -> Recipe:
        text = f"{RECIPE}{train}\n"
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = directory / "recipe.toml"
        path.write_text(text)
        return load_recipe(path)

    return write


@pytest.fixture
def task() -> Task:
    return Classify(labels=LABELS)


@pytest.fixture
def opened(task: Task) -> Callable[[Recipe], TrainingData]:
    """The data of a recipe, opened."""

    def open_data(recipe: Recipe) -> TrainingData:
        chain = Chain.of_recipe(recipe, REGISTRY)
        return open_training(recipe, chain=chain, task=task, registry=REGISTRY)

    return open_data


@pytest.fixture
def network() -> Callable[[Recipe], torch.nn.Module]:
    """The network of a recipe, before it has learned."""

    def start(recipe: Recipe) -> torch.nn.Module:
        seed, directory = recipe.train.seed, recipe.directory
        return start_network(recipe.model, recipe.train.weights, directory, seed=seed)

    return start


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    path = tmp_path / "storage"
    path.mkdir()
    return path


class Told:
    """A `Progress` that remembers its steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    @contextmanager
    def __call__(self, title: str) -> Iterator[Callable[[str], Any]]:
        lines: list[str] = []
        try:
            yield lines.append
        finally:
            self.steps.append((title, lines[0] if lines else "failed"))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def train(
    opened: Callable[[Recipe], TrainingData],
    network: Callable[[Recipe], torch.nn.Module],
    storage: Path,
) -> Callable[..., Fitted]:
    """A training of a recipe in `storage`."""

    def run(recipe: Recipe, *, data: TrainingData | None = None, **options: Any) -> Fitted:
        given = {"storage": storage, **options}
        return fit(network(recipe), data or opened(recipe), recipe.train, **given)

    return run
