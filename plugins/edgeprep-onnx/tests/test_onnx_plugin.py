"""The plugin as edgeprep finds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.schema import build
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend


def test_importing_the_plugin_imports_no_heavy_library() -> None:
    heavy = ["onnx", "onnxruntime", "onnxscript", "torch"]
    code = (
        "import sys, edgeprep_onnx;"
        "edgeprep_onnx.edgeprep_exporters(), edgeprep_onnx.edgeprep_backends();"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == "[]"


def test_running_a_model_needs_onnxruntime_alone() -> None:
    code = (
        "import sys, edgeprep_onnx;"
        "edgeprep_onnx.OnnxRuntimeBackend().devices();"
        "print([name for name in ('onnx', 'ml_dtypes', 'torch') if name in sys.modules])"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == "[]"


def test_using_onnxruntime_reports_nothing_home(tmp_path: Path) -> None:
    # Its telemetry keeps files in the cache and the temporary directory, and is off where CI is
    # set. An exporter that is used first must keep it off too.
    code = (
        "import edgeprep_onnx, contextlib;"
        "suppress = contextlib.suppress(Exception)\n"
        "with suppress: edgeprep_onnx.OnnxExporter().export(None, 'fp32')\n"
        "edgeprep_onnx.OnnxRuntimeBackend().devices()"
    )
    unset = ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "TMPDIR")
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        variables[name] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], check=True, env=variables, cwd=tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == []


def test_the_registry_finds_exporter_and_backend() -> None:
    registry = Registry(allow=("onnx",))
    assert registry.get("exporter", "onnx") is OnnxExporter
    assert registry.get("backend", "onnxruntime") is OnnxRuntimeBackend


def test_a_recipe_may_choose_the_opset() -> None:
    assert build(OnnxExporter, {"opset": 21}, "target[0]") == OnnxExporter(opset=21)


def test_an_opset_out_of_range_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"target\[0\].opset") as caught:
        build(OnnxExporter, {"opset": 17}, "target[0]")
    assert str(caught.value) == "target[0].opset: must be at least 18 and at most 23, got 17"
