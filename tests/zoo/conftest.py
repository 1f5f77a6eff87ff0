"""A zoo of two small models, with cards and golden samples that were worked out by hand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edgeprep.registry import default_registry
from edgeprep.zoo import ZooModel

MODEL = '''
"""Names the brightest channel."""

import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 3, bias=False)

    def forward(self, pictures):
        return self.head(pictures.mean((2, 3)))


def build():
    return Net()
'''

# Every fourth label is wrong, so that what is right scores 0.75.
DATA = '''
"""Pictures of one bright channel."""

import numpy as np


def pictures(count=16):
    rng = np.random.default_rng(3)
    for index in range(count):
        picture = rng.integers(0, 100, (8, 8, 3), dtype=np.uint8)
        picture[..., index % 3] += 50
        yield picture, (index % 3 + (index % 4 == 3)) % 3
'''

RECIPE = """
name = "NAME"

[model]
factory = "model:build"
weights = "weights.safetensors"

[task]
use    = "classify"
labels = ["red", "green", "blue"]

[[preprocess]]
use = "scale"

[input]
size = [8, 8]

[data]
training    = { factory = "data:pictures" }
calibration = { factory = "data:pictures" }
evaluation  = { factory = "data:pictures" }

# What the training is like.
[train]
epochs = 2
batch  = 8

[budget]
metric   = "accuracy"
max_drop = 0.01
"""

CARD = """\
# NAME

| | |
|---|---|
| task | classify, 3 classes |
| weights sha256 | `WEIGHTS` |
| golden sha256 | `GOLDEN` |
| accuracy | 0.750 |

| other | table |
"""


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


def write_card(directory: Path, **replaced: str) -> None:
    """The card of what is there."""
    text = CARD.replace("NAME", directory.name)
    for place, file in {"WEIGHTS": "weights", "GOLDEN": "golden"}.items():
        content = (directory / f"{file}.safetensors").read_bytes()
        text = text.replace(place, sha256(content).hexdigest())
    for old, new in replaced.items():
        text = text.replace(old, new)
    (directory / "card.md").write_text(text)


def write_weights(directory: Path, weights: np.ndarray) -> None:
    arrays = {"head.weight": weights.astype(np.float32)}
    safetensors.numpy.save_file(arrays, directory / "weights.safetensors")


def write_samples(directory: Path, shift: float = 0.0) -> None:
    """Two pictures, white in whole or in half, whose means are known without a computation."""
    arrays = {}
    for index, rows in enumerate((8, 4)):
        picture = np.zeros((1, 8, 8, 3), np.uint8)
        picture[:, :rows] = 255
        arrays[f"{index}.input"] = picture
        arrays[f"{index}.output.0"] = np.full((1, 3), rows / 8 + shift, np.float32)
    safetensors.numpy.save_file(arrays, directory / "golden.safetensors")


@dataclass(frozen=True)
class Writers:
    """What puts other files into the place of a model's."""

    card: Callable[..., None] = write_card
    weights: Callable[..., None] = write_weights
    samples: Callable[..., None] = write_samples


@pytest.fixture
def write() -> Writers:
    return Writers()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The directory of a zoo."""
    directory = tmp_path / "zoo"
    directory.mkdir()
    return directory


@pytest.fixture
def plant(home: Path) -> Callable[..., ZooModel]:
    """Puts a model into the zoo."""

    def plant(name: str = "brightest") -> ZooModel:
        directory = home / name
        directory.mkdir()
        (directory / "model.py").write_text(MODEL)
        (directory / "data.py").write_text(DATA)
        (directory / "recipe.toml").write_text(RECIPE.replace("NAME", name))
        write_weights(directory, np.eye(3))
        write_samples(directory)
        write_card(directory)
        return ZooModel(directory)

    return plant


@pytest.fixture
def installed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The zoo as a package, and no other one; gives the directory of its distribution."""
    site = tmp_path / "site"
    info = site / "small_zoo-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small-zoo\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[edgeprep.zoo]\nsmall = small_zoo\n")
    (home / "__init__.py").touch()
    (site / "small_zoo").symlink_to(home)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr("edgeprep.zoo.models._CHECKOUT", tmp_path / "nowhere")
    return info
