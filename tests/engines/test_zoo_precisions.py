"""The zoo's network at every precision of every format, by the conformance kit."""

from pathlib import Path

import numpy as np
import pytest

from edgeprep.conversion.source import NetworkSource
from edgeprep.data import load_factory
from edgeprep.interfaces import Backend, Exporter, Precision
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.testing import check_exporter
from edgeprep.train.network import load_network
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter
from edgeprep_tflite import LiteRTBackend, TFLiteExporter

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ZOO = Path(__file__).parents[2] / "model_zoo" / "digits-mobilenet"
PAIRS: tuple[tuple[type[Exporter], type[Backend]], ...] = (
    (OnnxExporter, OnnxRuntimeBackend),
    (OpenVINOExporter, OpenVINOBackend),
    (TFLiteExporter, LiteRTBackend),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> NetworkSource:
    recipe = load_recipe(ZOO / "recipe.toml")
    host, graph = Chain.of_recipe(recipe, default_registry()).cut("host")
    pictures = load_factory("data:calibration", ZOO, "data.calibration")()
    samples = [host.prepare(sample[0])[0] for sample, _ in zip(pictures, range(32), strict=False)]
    return NetworkSource(
        load_network(recipe.model, ZOO), graph, np.stack(samples),
        scratch=tmp_path_factory.mktemp("scratch"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("exporter", "backend", "precision"),
    [
        pytest.param(exporter, backend, precision, id=f"{exporter.name}-{precision}")
        for exporter, backend in PAIRS
        for precision in exporter.precisions
    ],
)
def test_it_computes_what_torch_computes(
    exporter: type[Exporter], backend: type[Backend], precision: Precision, source: NetworkSource
) -> None:
    check_exporter(exporter(), backend(), source, precisions=(precision,))
