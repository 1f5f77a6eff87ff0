"""Fine-tuning under simulated INT8 in the training loop itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgeprep.compress._quantization_aware import NoiseBySignal, fine_tuning
from edgeprep.compress.simulate import collect_ranges
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tasks.classify import Classify
from edgeprep.train import Fitted, fit, open_training
from edgeprep.train.validation import validate
from edgeprep.train.watching import Tick

DATA = """
import numpy as np


def pictures(count=24, seed=3):
    random = np.random.default_rng(seed)
    for index in range(count):
        picture = random.integers(0, 120, (8, 8, 3), dtype=np.uint8)
        picture[..., index % 3] += 40
        yield picture, index % 3
"""

RECIPE = """
name = "small"

[model]
factory = "data:unused"

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
training   = {{ factory = "data:pictures" }}
validation = {{ factory = "data:pictures", arguments = {{ count = 12, seed = 5 }} }}

[[target]]
format    = "onnx"
precision = ["fp32"]

[train]
epochs        = 3
batch         = 8
learning_rate = 0.01
accelerator   = "cpu"
{train}
"""


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Stop(Exception):
    pass


@pytest.fixture
def tune(tmp_path: Path) -> Callable[..., Fitted]:
    """Fine-tunes the same network on the same data, in a directory of its own or an earlier one."""
    (tmp_path / "data.py").write_text(DATA)

    def run(where: str, *, train: str = "", **options: Any) -> Fitted:
        (tmp_path / "recipe.toml").write_text(RECIPE.format(train=train))
        recipe = load_recipe(tmp_path / "recipe.toml")
        registry = Registry(installed=False)
        data = open_training(
            recipe,
            chain=Chain.of_recipe(recipe, registry),
            task=Classify(labels=("red", "green", "blue")),
            registry=registry,
        )
        storage = tmp_path / where
        storage.mkdir(exist_ok=True)
        torch.manual_seed(0)
        network, samples = Small().eval(), [inputs for inputs, _ in data.batches()]
        ranges = collect_ranges(network, samples)
        turns = {"layers": ranges.layers, "levels": (63, 127, 0)}
        with fine_tuning(network, ranges, samples, **turns):  # type: ignore[arg-type]
            return fit(network, data, recipe.train, storage=storage, **options)

    return run


def state(fitted: Fitted) -> dict[str, Tensor]:
    return dict(fitted.network.state_dict())


@pytest.mark.parametrize("train", ["", "ema = 0.8", 'precision = "bf16-mixed"'])
@pytest.mark.parametrize("stop", [1, 4, 6], ids="after step {}".format)
def test_a_fine_tuning_that_was_ended_comes_to_the_same_weights(tune, train, stop):
    left = stop

    def watch(_tick: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Stop("killed")

    straight = tune("straight", train=train)
    with pytest.raises(Stop, match="killed"):
        tune("ended", train=train, watch=watch)
    resumed = tune("ended", train=train)
    assert [row.loss for row in resumed.history] == [row.loss for row in straight.history]
    assert all(torch.equal(value, state(resumed)[name]) for name, value in state(straight).items())


@pytest.mark.parametrize("train", ["", "ema = 0.8"])
def test_one_that_was_ended_between_an_epochs_last_step_and_its_score_does(
    tune, train, monkeypatch
):
    train += "\nsave_minutes = 1e-9"
    straight = tune("straight", train=train)
    scored = []

    def end(*given: Any) -> Any:
        scored.append(given)
        if len(scored) == 2:
            raise Stop("killed")
        return validate(*given)

    with monkeypatch.context() as patched:
        patched.setattr("edgeprep.train.loop.validate", end)
        with pytest.raises(Stop, match="killed"):
            tune("ended", train=train)
    ticks: list[Tick] = []
    resumed = tune("ended", train=train, watch=ticks.append)
    assert [(tick.epoch, tick.step) for tick in ticks] == [(3, 1), (3, 2), (3, 3)]
    assert [row.loss for row in resumed.history] == [row.loss for row in straight.history]
    assert [row.scores for row in resumed.history] == [row.scores for row in straight.history]
    assert all(torch.equal(value, state(resumed)[name]) for name, value in state(straight).items())


@pytest.mark.parametrize("train", ["", "ema = 0.8", 'precision = "bf16-mixed"'])
def test_it_learns(tune, train):
    first, *_, last = tune("here", train=f"{train}\npatience = 30").history
    assert last.loss < first.loss


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
@pytest.mark.parametrize("learn_from", ["labels", "itself"])
def test_it_learns_in_other_precisions(tune, precision, learn_from):
    torch.manual_seed(0)
    objective = NoiseBySignal(Small().eval()) if learn_from == "itself" else None
    train = f'precision = "{precision}"'
    first, *_, last = tune("here", train=train, objective=objective).history
    assert last.loss < first.loss


def test_nothing_of_the_simulation_stays(tune):
    assert not [name for name in state(tune("here")) if "int8" in name]


def test_patterns_of_training_name_the_networks_own_modules(tune):
    torch.manual_seed(0)
    before = Small().state_dict()
    after = state(tune("here", train='freeze = ["features"]'))
    assert torch.equal(after["features.0.weight"], before["features.0.weight"])
    assert not torch.equal(after["head.weight"], before["head.weight"])
