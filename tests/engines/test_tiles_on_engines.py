"""A network of tiles on real engines: one picture goes in, tiles go through, one comes out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Precision
from edgeprep.registry import create, default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.primitives.torch import TorchPrimitives
from edgeprep.stages.scale import Scale
from edgeprep.stages.tile import Tile, untile
from edgeprep.tasks.classify import Classify
from edgeprep.tensors import ImageSpec, TensorSpec

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

IMAGE = ImageSpec(height=40, width=56)
TILE = Tile(size=(16, 16), overlap=(4, 6))  # 3 by 5
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}


class Denoiser(torch.nn.Module):
    """Two convolutions on tiles of 16 by 16 pixels, whose results are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1)
        )

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        clean = self.layers(tiles).permute(0, 2, 3, 1)
        return untile(TorchPrimitives(), clean, TILE, IMAGE)


@pytest.fixture
def source(tmp_path: Path) -> NetworkSource:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Denoiser().eval()
    chain = Chain(input=IMAGE, stages=(TILE, DType(), Scale(), Layout()))
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)
    return NetworkSource(
        network, chain, coarse.repeat(8, axis=1).repeat(8, axis=2), scratch=tmp_path
    )


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 0.1)])
@pytest.mark.parametrize("target", ENGINES)
def test_an_engine_computes_what_the_source_computes(
    source: NetworkSource, target: str, precision: Precision, tolerance: float
) -> None:
    assert source.input.shape == (1, 40, 56, 3)
    assert source.network_input.shape == (15, 3, 16, 16)
    assert [output.shape for output in source.outputs] == [(1, 40, 56, 3)]
    assert len(source.calibration_preprocessed) == 4 * 15
    registry = default_registry()
    model = create(registry.get("exporter", target)).export(source, precision)
    backend = create(registry.get("backend", ENGINES[target]))
    device = backend.devices()[0]
    runner = backend.load(model, device, backend.options(device, precision)[0])
    picture = source.calibration[:1]
    (result,), (expected,) = runner.run((picture,)), source.run(picture)
    runner.close()
    assert result.shape == expected.shape
    # int8 has 256 levels for the whole range, in three tensors one after the other.
    assert np.abs(result - expected).max() <= tolerance * np.abs(expected).max()


def test_a_task_that_takes_one_picture_says_so() -> None:
    outputs = (TensorSpec(name="logits", shape=(15, 2), dtype="float32"),)
    with pytest.raises(RecipeError, match="task") as caught:
        Classify(labels=("a", "b")).check_outputs(outputs)
    assert str(caught.value) == ("task: 'classify' needs one output (1, classes), got [(15, 2)]")
