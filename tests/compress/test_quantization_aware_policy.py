"""What fine-tuning under simulated int8 is told by `[quantize]`."""

from pathlib import Path

import pytest

import edgeprep
from edgeprep.compress import _quantization_aware
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Quantization, Workbench

FILES = {
    "model.py": """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.layer(x).mean((2, 3)))


def build():
    torch.manual_seed(0)
    return Net()
""",
    "recipe.toml": """
name = "policy"
[input]
size = [8, 8]
[model]
factory = "model:build"
[task]
use = "classify"
labels = ["red", "green", "blue"]
[[preprocess]]
use = "scale"
[data]
calibration = { use = "random", samples = 4, size = [8, 8] }
training = { use = "random", samples = 4, size = [8, 8] }
[[compress]]
use = "quantization-aware"
[quantize]
calibrator = "mse"
weight_range = "both"
keep_float = ["he*"]
[[target]]
format = "onnx"
precision = ["int8"]
""",
}


def test_the_recipes_policy_comes_to_the_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    seen: list[Workbench] = []

    def fine_tune(settings: object, network: object, bench: Workbench) -> None:
        seen.append(bench)
        raise RecipeError("that is enough")

    monkeypatch.setattr(_quantization_aware, "fine_tune", fine_tune)
    with pytest.raises(RecipeError, match=r"^that is enough$"):
        edgeprep.convert(tmp_path / "recipe.toml", tmp_path / "out.edgeprep")
    (bench,) = seen
    # Each variant has one range of weights; the network that both come from learns both.
    assert bench.source.quantization == Quantization(calibrator="mse", weight_range="auto")
    assert bench.source.keep_float == ("network.head",)
