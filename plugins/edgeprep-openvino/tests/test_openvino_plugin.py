"""The plugin as a whole: light to import, silent, and found by its hooks."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import edgeprep_openvino
from edgeprep_openvino._reason import reason
from edgeprep_openvino._telemetry import silence_telemetry

LISTING = """
import sys
import edgeprep_openvino
edgeprep_openvino.edgeprep_exporters(), edgeprep_openvino.edgeprep_backends()
print(sorted({"openvino", "nncf", "torch", "onnx"} & set(sys.modules)))
"""

EXPORTING = """
import sys
import tempfile
from pathlib import Path
import numpy as np
import torch
from edgeprep.conversion.source import NetworkSource
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.tensors import ImageSpec
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter

chain = Chain(
    input=ImageSpec(height=8, width=8), stages=(DType(to="float32"), Layout(to="nchw"))
)
pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
with tempfile.TemporaryDirectory() as folder:
    network = torch.nn.Conv2d(3, 4, 3)
    source = NetworkSource(network.eval(), chain, pictures, scratch=Path(folder))
    model = OpenVINOExporter().export(source, "int8")
backend = OpenVINOBackend()
runner = backend.load(model, backend.devices()[0], {"threads": 1, "precision": "f32"})
assert runner.run([pictures[:1]])[0].shape == (1, 4, 6, 6)
assert sys.modules["openvino_telemetry"] is None
"""


def run_python(program: str, **environment: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    return completed.stdout


def test_listing_the_plugin_imports_no_heavy_library() -> None:
    assert run_python(LISTING).strip() == "[]"


def test_converting_and_running_report_nothing_home_and_print_nothing(tmp_path: Path) -> None:
    # OpenVINO's telemetry leaves an identifier in the home directory, and is off where CI is set.
    printed = run_python(EXPORTING, HOME=str(tmp_path), USERPROFILE=str(tmp_path), CI="")
    assert printed == ""
    assert list(tmp_path.rglob("*intel*")) == []


def test_telemetry_that_the_application_has_loaded_is_made_to_do_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Telemetry:
        def init(self) -> None:
            raise AssertionError("reported")

        send_event = start_session = end_session = send_error = send_stack_trace = init

    loaded = ModuleType("openvino_telemetry")
    loaded.Telemetry = Telemetry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "openvino_telemetry", loaded)
    silence_telemetry()
    telemetry = Telemetry()
    telemetry.init()
    telemetry.send_event()
    telemetry.start_session()
    telemetry.end_session()
    telemetry.send_error()
    telemetry.send_stack_trace()


def test_the_hooks_offer_one_exporter_and_one_backend() -> None:
    assert [one.name for one in edgeprep_openvino.edgeprep_exporters()] == ["openvino"]
    assert [one.name for one in edgeprep_openvino.edgeprep_backends()] == ["openvino"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Exception from a.cpp:105:\nCheck '1 < 0' failed at b.cpp:2:\nNo.\n\n", "No."),
        ("Model wasn't converted.\nSummary:\n-- none", "Model wasn't converted. Summary: -- none"),
        ("x" * 1000, "x" * 240 + "…"),
        ("", "RuntimeError"),
    ],
    ids=["positions", "several lines", "long", "empty"],
)
def test_a_reason_is_what_the_error_means_in_one_line(message: str, expected: str) -> None:
    assert reason(RuntimeError(message)) == expected


def test_a_reason_is_that_of_the_first_error() -> None:
    outer = ValueError("general")
    outer.__cause__ = KeyError("special")
    assert reason(outer) == "'special'"
