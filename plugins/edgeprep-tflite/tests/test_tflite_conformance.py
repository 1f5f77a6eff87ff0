"""What every plugin must be, by edgeprep's own kit."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from edgeprep import testing
from edgeprep.interfaces import Model, Precision
from edgeprep_tflite import LiteRTBackend, TFLiteExporter


def test_the_plugin_can_be_installed() -> None:
    testing.check_plugin("edgeprep_tflite")


def test_the_exporter_writes_what_torch_computes(backend: LiteRTBackend, tmp_path: Path) -> None:
    testing.check_exporter(TFLiteExporter(), backend, testing.small_source(tmp_path))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_backend_can_be_relied_on(
    precision: Precision, backend: LiteRTBackend, models: Mapping[Precision, Model]
) -> None:
    testing.check_backend(backend, models[precision], precision=precision)
