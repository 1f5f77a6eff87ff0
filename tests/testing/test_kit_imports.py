"""What the kit itself needs: little to be imported, and a workstation to check what counts."""

import subprocess
import sys

import pytest

from edgeprep.stages.scale import Scale
from edgeprep.testing import ConformanceError, check_stage


def test_importing_the_kit_imports_no_heavy_library():
    script = "import sys, edgeprep.testing; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "edgeprep.testing.stage" in loaded
    assert loaded & {"torch", "onnx", "onnxruntime", "click", "PIL"} == set()


@pytest.mark.parametrize("absent", ["torch", "onnxruntime"])
def test_a_stage_that_cannot_be_compared_does_not_pass(absent, monkeypatch):
    monkeypatch.delitem(sys.modules, "edgeprep.testing._interpreters", raising=False)
    monkeypatch.delattr("edgeprep.testing._interpreters", raising=False)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_stage(Scale())
    assert str(caught.value) == (
        "stage 'scale': must be compared in numpy, torch and ONNX Runtime, "
        f"got ModuleNotFoundError: import of {absent} halted; None in sys.modules; "
        "pip install edgeprep[convert] onnxruntime"
    )
