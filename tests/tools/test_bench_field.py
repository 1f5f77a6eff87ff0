"""tools/bench_field: what it measures, and what it refuses."""

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    loader = SourceFileLoader("bench_field", str(TOOLS / "bench_field"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_every_name_is_a_module_with_a_measurement(script):
    for name in script.NAMES:
        source = (TOOLS / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
        assert "\ndef measure() -> " in source, name
        assert name in script.__doc__


def test_an_unknown_name_is_refused():
    command = [sys.executable, TOOLS / "bench_field", "gaps"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "NAME: must be one of gap, isolation" in done.stderr
    assert "got 'gaps'" in done.stderr
