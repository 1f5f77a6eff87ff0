"""Objectives that look at pictures in other ways than the network does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tasks.classify import Classify
from edgeprep.train import fit, open_training
from edgeprep.train.data import TrainingData

DATA = """
import numpy as np


def pictures(count=8, epoch=0):
    for index in range(count):
        picture = np.full((4 + index % 3, 5, 3), 10 * index + epoch, np.uint8)
        picture[0, 0] = 200
        yield picture, index % 2
"""

RECIPE = """
name = "views"
{augment}
[model]
factory = "model:build"
[task]
use = "classify"
labels = ["a", "b"]
{more}
[[preprocess]]
use = "resize"
size = [2, 2]
[[preprocess]]
use = "scale"
[data]
training = {{ factory = "data:pictures" }}
[train]
epochs = 2
batch = 4
[[target]]
format = "onnx"
precision = ["fp32"]
"""

FLIP = """
[[augment]]
use = "random-flip"
"""


class Corner:
    """The first pixel of a picture as float64, and how many rows there are."""

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.array([picture[0, 0, 0], len(picture)], np.float64)


class Looking(Objective):
    """Keeps what it was shown."""

    def __init__(self, *views: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
        self._views = views
        self.shown: list[tuple[torch.Tensor, ...]] = []

    def views(self) -> tuple[Callable[[NDArray[np.uint8]], NDArray[Any]], ...]:
        return self._views

    def seeing(self, views: tuple[torch.Tensor, ...]) -> Objective:
        self.shown.append(views)
        return self

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        if self.shown:
            self.shown[-1] = (inputs, *self.shown[-1])
        return network(inputs).square().mean()


def halves(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture[:2, :3]


@pytest.fixture
def open_data(tmp_path: Path) -> Callable[..., TrainingData]:
    (tmp_path / "data.py").write_text(DATA)

    def open_data(augment: str = "", more: str = "") -> TrainingData:
        path = tmp_path / "recipe.toml"
        path.write_text(RECIPE.format(augment=augment, more=more))
        recipe: Recipe = load_recipe(path)
        registry = Registry(installed=False)
        chain = Chain.of_recipe(recipe, registry)
        task = Classify(labels=("a", "b"))
        return open_training(recipe, chain=chain, task=task, registry=registry)

    return open_data


def train(data: TrainingData, objective: Objective, storage: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    fit(network, data, data.settings, storage=storage, objective=objective)


def test_views_are_of_the_picture_that_the_network_takes(
    open_data: Callable[..., TrainingData], tmp_path: Path
) -> None:
    objective = Looking(Corner(), halves)
    train(open_data(), objective, tmp_path)
    assert len(objective.shown) == 4  # two steps in each of two epochs
    for inputs, corners, parts in objective.shown:
        assert inputs.shape == (4, 3, 2, 2)
        assert (corners.dtype, corners.shape) == (torch.float64, (4, 2))
        assert (parts.dtype, parts.shape) == (torch.uint8, (4, 2, 3, 3))
        assert corners[:, 0].tolist() == [200] * 4
        # The network sees the far corner of what the view sees whole: one grey a picture.
        greys = (inputs[:, 0, 1, 1] * 255).round().to(torch.uint8)
        assert torch.equal(greys, parts[:, 1, 2, 0])
        # Rows come back with the picture that had as many.
        assert [4 + int(grey) // 10 % 3 for grey in greys] == corners[:, 1].tolist()


def test_views_of_a_single_picture_may_begin_at_any_byte(
    open_data: Callable[..., TrainingData],
) -> None:
    # The network's share of a row, 2 by 2 pixels, is 12 bytes: no multiple of a float64's.
    varied = open_data().showing((Corner(),)).varied
    row = varied.host.prepare(np.full((4, 5, 3), 7, np.uint8))
    assert row.shape == (1, 1, 12 + 16, 1)
    _, corners = varied.graph(torch.from_numpy(row))
    assert corners.tolist() == [[7, 4]]


def test_views_are_of_the_picture_as_it_was_varied(
    open_data: Callable[..., TrainingData], tmp_path: Path
) -> None:
    objective = Looking(Corner())
    train(open_data(augment=FLIP), objective, tmp_path)
    corners = torch.cat([corner[:, 0] for _, corner in objective.shown])
    # Flipped ones have their bright pixel elsewhere.
    assert 0 < (corners == 200).sum() < len(corners)


def test_an_objective_without_views_is_shown_none(
    open_data: Callable[..., TrainingData], tmp_path: Path
) -> None:
    objective = Looking()
    train(open_data(), objective, tmp_path)
    assert objective.shown == []


def test_views_of_films_whose_pictures_depend_on_earlier_ones_are_refused(
    open_data: Callable[..., TrainingData], tmp_path: Path
) -> None:
    more = '[[preprocess]]\nuse = "frame-difference"\n'
    message = (
        "^preprocess: must look at one picture at a time where the training looks at it in other "
        "ways, got one with a memory$"
    )
    with pytest.raises(RecipeError, match=message):
        train(open_data(more=more), Looking(Corner()), tmp_path)
