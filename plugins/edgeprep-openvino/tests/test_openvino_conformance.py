"""What every plugin must be, by edgeprep's own kit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeprep_openvino
from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Precision
from edgeprep.testing import check_backend, check_exporter, check_plugin, stateful_source
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter


def test_the_plugin_conforms() -> None:
    check_plugin(edgeprep_openvino)


def test_the_exporter_conforms(backend: OpenVINOBackend) -> None:
    check_exporter(OpenVINOExporter(), backend)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_exporter_writes_networks_that_remember(
    precision: Precision, backend: OpenVINOBackend, tmp_path: Path
) -> None:
    check_exporter(OpenVINOExporter(), backend, stateful_source(tmp_path), precisions=(precision,))


@pytest.mark.parametrize("precision", OpenVINOExporter.precisions)
def test_the_backend_conforms(
    precision: Precision,
    backend: OpenVINOBackend,
    make_source: Callable[..., NetworkSource],
    hard_pictures: dict[str, np.ndarray],
) -> None:
    model = OpenVINOExporter().export(make_source(), precision)
    inputs = [[picture] for picture in hard_pictures.values()]
    check_backend(backend, model, inputs, precision=precision)
