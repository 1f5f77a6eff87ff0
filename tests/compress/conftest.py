"""The workbench of the conformance kit, for passes to be tried on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from edgeprep.testing._workbench import SmallWorkbench

MODEL = """
import torch
from torch import nn


def convolution(arriving, leaving):
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()
    )


def block(width):
    return nn.Sequential(convolution(width, width), convolution(width, width))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = convolution(3, width)
        self.blocks = nn.Sequential(block(width), block(width), block(width))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def build(width=8):
    torch.manual_seed(width)
    return Net(width)


def pair(width=8):
    return nn.Sequential(nn.Flatten(), Pair())


class Pair(nn.Module):
    def forward(self, x):
        return x[:, :3], x[:, :3]
"""

Make = Callable[..., nn.Module]
Bench = Callable[..., Any]


@pytest.fixture
def workbench(tmp_path: Path) -> Callable[..., SmallWorkbench]:
    """`workbench(network)`: see `SmallWorkbench` for what else it takes."""

    def make(network: torch.nn.Module, **options: Any) -> SmallWorkbench:
        return SmallWorkbench(came=network, directory=tmp_path, **options)

    return make


@pytest.fixture
def build(tmp_path: Path) -> Make:
    """The factory that recipes call `model:build`; a trained teacher lies beside it."""
    (tmp_path / "model.py").write_text(MODEL)
    names: dict[str, Any] = {}
    exec(MODEL, names)  # noqa: S102 -- the text above
    make: Make = names["build"]
    return make


@pytest.fixture
def taught(build: Make, workbench: Bench, tmp_path: Path) -> float:
    """The score of a teacher that lies beside the recipe."""
    teacher = build()
    bench = workbench(teacher)
    bench.fine_tune(teacher.requires_grad_(), name="teacher", epochs=8)
    safetensors.torch.save_file(teacher.state_dict(), tmp_path / "teacher.safetensors")
    return float(bench.score(teacher))
