"""The plugin as a whole: light to list, found by its hooks, and silent on stdout."""

import json
import logging
import os
import subprocess
import sys

import pytest

import edgeprep_tflite
from edgeprep.errors import BackendUnavailable
from edgeprep.registry import Registry, create, missing_requirements
from edgeprep_tflite import LiteRTBackend, TFLiteExporter
from edgeprep_tflite._quiet import quiet


def run_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )


def test_listing_imports_neither_torch_nor_an_engine() -> None:
    script = "import sys, edgeprep_tflite; print(*{name.split('.')[0] for name in sys.modules})"
    imported = set(run_python(script).stdout.split())
    heavy = {"torch", "litert_torch", "ai_edge_litert", "ai_edge_quantizer", "tflite_runtime"}
    assert "edgeprep_tflite" in imported
    assert imported & heavy == set()


def test_running_imports_neither_torch_nor_the_converter() -> None:
    script = (
        "import sys, edgeprep_tflite; edgeprep_tflite.LiteRTBackend();"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    imported = set(run_python(script).stdout.split())
    assert "ai_edge_litert" in imported
    assert imported & {"torch", "litert_torch", "ai_edge_quantizer", "jax"} == set()


def test_hooks_offer_the_exporter_and_the_backend() -> None:
    registry = Registry(installed=False)
    registry.register("tflite", edgeprep_tflite)
    assert registry.get("exporter", "tflite") is TFLiteExporter
    assert registry.get("backend", "litert") is LiteRTBackend


@pytest.mark.parametrize("absent", ["ai_edge_litert", "tflite_runtime"])
def test_either_library_is_enough(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    present = {"ai_edge_litert": "tflite_runtime", "tflite_runtime": "ai_edge_litert"}[absent]
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.setitem(sys.modules, present, sys)
    assert missing_requirements(LiteRTBackend) == ()


def test_without_either_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgeprep.registry.requirements._is_importable", lambda _: False)
    with pytest.raises(
        BackendUnavailable,
        match=r"^backend 'litert' needs ai_edge_litert or tflite_runtime, which is not installed; "
        r"pip install edgeprep-tflite\[runtime\]$",
    ):
        create(LiteRTBackend)


CONVERSION = r"""
import json, re, sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from edgeprep.conversion.source import NetworkSource
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.tensors import ImageSpec
from edgeprep_tflite import TFLiteExporter

torch.manual_seed(0)
chain = Chain(input=ImageSpec(height=8, width=8), stages=(DType(to="float32"), Layout(to="nchw")))
samples = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
source = NetworkSource(nn.Conv2d(3, 4, 3).eval(), chain, samples, scratch=Path(sys.argv[1]))
for precision in TFLiteExporter.precisions:
    TFLiteExporter().export(source, precision)
# Not getrusage, which counts what the process that started this one held.
status = Path("/proc/self/status").read_text()
print(json.dumps(int(re.search(r"VmHWM:\s+(\d+)", status)[1])))
"""


@pytest.fixture(scope="module")
def conversion(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A process that writes all precisions, and prints the most memory that it held, in KiB."""
    return run_python(CONVERSION, str(tmp_path_factory.mktemp("scratch")))


def test_a_conversion_leaves_stdout_to_its_caller(
    conversion: subprocess.CompletedProcess[str],
) -> None:
    assert isinstance(json.loads(conversion.stdout), int)


def test_a_conversion_needs_little_of_the_memory_that_convert_may_use(
    conversion: subprocess.CompletedProcess[str],
) -> None:
    # 0.55 GiB with torch, jax and transformers imported; `edgeprep convert` may hold 4 GiB.
    assert json.loads(conversion.stdout.split()[-1]) < 1.5 * 2**20


REDIRECTION = """
import ctypes, os, sys
from edgeprep_tflite._quiet import stdout_to_stderr

def speak(when):
    print("python", when)
    sys.stdout.flush()
    os.write(1, f"descriptor {when}\\n".encode())
    ctypes.CDLL(None).printf(f"c {when}\\n".encode())

try:
    with stdout_to_stderr():
        speak("inside")
        raise KeyError
except KeyError:
    speak("after")
"""


def test_whatever_is_printed_inside_goes_to_stderr_and_after_an_error_no_more() -> None:
    spoken = run_python(REDIRECTION)
    assert sorted(spoken.stdout.split("\n")) == ["", "c after", "descriptor after", "python after"]
    assert sorted(spoken.stderr.split("\n")) == [
        "",
        "c inside",
        "descriptor inside",
        "python inside",
    ]


def test_logging_and_the_environment_are_as_before_after_an_error() -> None:
    before = logging.root.manager.disable, dict(os.environ), sys.stdout
    with pytest.raises(KeyError, match="inside"), quiet():
        raise KeyError("inside")
    assert (logging.root.manager.disable, dict(os.environ), sys.stdout) == before
