"""Histograms, tables and growing edges as exporters write them: whole levels at every precision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Precision
from edgeprep.registry import create, default_registry
from edgeprep.stages.canny import Canny
from edgeprep.stages.chain import Chain
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.dtype import DType
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.layout import Layout
from edgeprep.tensors import ImageSpec

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}
STAGES = (Equalize(), Clahe(grid=(2, 3)), Canny(low=60, high=300, steps=4), DType(), Layout())


class Doubled(torch.nn.Module):
    """Its weight is whole in 8 bits, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 1, bias=False)
        with torch.no_grad():
            self.layer.weight.fill_(2.0)

    def forward(self, edges: torch.Tensor) -> torch.Tensor:
        return self.layer(edges)


@pytest.fixture
def source(tmp_path: Path) -> NetworkSource:
    chain = Chain(input=ImageSpec(height=41, width=55), stages=STAGES)
    coarse = np.random.default_rng(0).integers(0, 256, (4, 11, 14, 3), dtype=np.uint8)
    pictures = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :41, :55].copy()
    return NetworkSource(Doubled().eval(), chain, pictures, scratch=tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("target", ENGINES)
def test_every_file_has_the_edges_of_the_source(
    source: NetworkSource, target: str, precision: Precision
) -> None:
    registry = default_registry()
    model = create(registry.get("exporter", target)).export(source, precision)
    backend = create(registry.get("backend", ENGINES[target]))
    device = backend.devices()[0]
    runner = backend.load(model, device, backend.options(device, precision)[0])
    for picture in np.split(source.calibration, len(source.calibration)):
        (result,), (expected,) = runner.run((picture,)), source.run(picture)
        assert set(np.unique(expected)) == {0, 510}
        # An edge that is missing would be 510 off; one of 255 steps twice, of input and output, 4.
        assert np.abs(result - expected).max() <= 4.1
    runner.close()
