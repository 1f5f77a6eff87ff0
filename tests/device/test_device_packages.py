import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgeprep


def test_the_package_that_runs_is_the_installed_one():
    assert Path(edgeprep.__file__).is_relative_to(sys.prefix)


@pytest.mark.parametrize(
    "module", ["torch", "onnx", "onnxscript", "nncf", "litert_torch", "jax", "sklearn", "rich"]
)
def test_nothing_of_a_workstation_can_be_imported(module):
    assert find_spec(module) is None


def test_one_engine_is_installed(engine):
    modules = ("onnxruntime", "openvino", "tflite_runtime", "ai_edge_litert")
    found = [name for name in modules if find_spec(name)]
    assert found == [engine.module.partition(".")[0]]


def test_edgeprep_and_one_plugin_are_installed(engine):
    ours = {entry.name for entry in distributions() if entry.name.startswith("edgeprep")}
    assert ours == {"edgeprep", f"edgeprep-{engine.plugin}"}
