"""What every plugin must be, by edgeprep's own kit."""

from pathlib import Path

import pytest

import edgeprep_onnx
from edgeprep.interfaces import Model, Precision
from edgeprep.testing import check_backend, check_exporter, check_plugin, stateful_source
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend


def test_the_plugin_conforms() -> None:
    check_plugin(edgeprep_onnx)


def test_the_exporter_conforms(backend: OnnxRuntimeBackend) -> None:
    check_exporter(OnnxExporter(), backend, precisions=("fp32", "int8"))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_exporter_writes_networks_that_remember(
    precision: Precision, backend: OnnxRuntimeBackend, tmp_path: Path
) -> None:
    check_exporter(OnnxExporter(), backend, stateful_source(tmp_path), precisions=(precision,))


@pytest.mark.parametrize("precision", OnnxExporter.precisions)
def test_the_backend_conforms(
    precision: Precision, backend: OnnxRuntimeBackend, models: dict[Precision, Model]
) -> None:
    check_backend(backend, models[precision], precision=precision)
