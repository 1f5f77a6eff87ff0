"""A network whose graph ends with the numbers of classes, on every engine."""

from pathlib import Path

import numpy as np
import pytest

import edgeprep
from edgeprep.conversion import convert

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MODEL = """
import torch


class Brightest(torch.nn.Module):
    # Which channel is the brightest in two pixels beside each other, of both together.
    def __init__(self):
        super().__init__()
        self.sum = torch.nn.Conv2d(3, 3, (1, 2), stride=(1, 2), groups=3, bias=False)
        self.sum.weight.data[:] = 1.0

    def forward(self, x):
        return self.sum(x).argmax(dim=1)


def build():
    return Brightest()
"""

DATA = """
import numpy as np
from edgeprep.truths import Mask


def pairs(count=6):
    generator = np.random.default_rng(0)
    for _ in range(count):
        classes = generator.integers(0, 3, (12, 8), dtype=np.uint8)
        # Far brighter, so that nothing else is near it.
        picture = 200 * np.eye(3, dtype=np.uint8)[classes] + 20
        yield picture.repeat(2, axis=1), Mask(classes.repeat(2, axis=1))
"""

RECIPE = """
name = "brightest"
[model]
factory = "model:build"
[input]
size = [12, 16]
[task]
use    = "segment"
labels = ["red", "green", "blue"]
scores = "classes"
[[preprocess]]
use = "scale"
[data]
calibration = { factory = "data:pairs" }
evaluation  = { factory = "data:pairs" }
[[target]]
format    = "onnx"
precision = ["fp32", "int8"]
[[target]]
format    = "openvino"
precision = ["fp32"]
[[target]]
format    = "tflite"
precision = ["fp32"]
"""


def test_every_pixel_is_of_the_class_that_the_graph_names(tmp_path: Path) -> None:
    for name, text in (("model.py", MODEL), ("data.py", DATA), ("recipe.toml", RECIPE)):
        (tmp_path / name).write_text(text)
    result = convert(tmp_path / "recipe.toml", tmp_path / "brightest.edgeprep")
    assert {variant.metric.value for variant in result.manifest.variants} == {1.0}
    classes = np.random.default_rng(1).integers(0, 3, (12, 8), dtype=np.uint8).repeat(2, axis=1)
    picture = 200 * np.eye(3, dtype=np.uint8)[classes] + 20
    for engine in ("onnxruntime", "openvino", "litert"):
        with edgeprep.open(result.bundle, prefer=engine, probe=False) as session:
            np.testing.assert_array_equal(session(picture).classes, classes)
