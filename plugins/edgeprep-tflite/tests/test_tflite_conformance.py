"""What every plugin must be, by edgeprep's own kit."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import edgeprep_tflite
from edgeprep.interfaces import Model, Precision
from edgeprep.testing import check_backend, check_exporter, check_plugin, stateful_source
from edgeprep_tflite import LiteRTBackend, TFLiteExporter


def test_the_plugin_conforms() -> None:
    check_plugin(edgeprep_tflite)


def test_the_exporter_conforms(backend: LiteRTBackend) -> None:
    check_exporter(TFLiteExporter(), backend, precisions=("fp32", "int8"))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_exporter_writes_networks_that_remember(
    precision: Precision, backend: LiteRTBackend, tmp_path: Path
) -> None:
    check_exporter(TFLiteExporter(), backend, stateful_source(tmp_path), precisions=(precision,))


@pytest.mark.parametrize("precision", TFLiteExporter.precisions)
def test_the_backend_conforms(
    precision: Precision, backend: LiteRTBackend, models: Mapping[Precision, Model]
) -> None:
    check_backend(backend, models[precision], precision=precision)
