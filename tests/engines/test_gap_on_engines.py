"""An engine that fails in the application, as tools/bench_field measures it."""

from importlib import import_module
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "litert"])
def test_who_calls_an_engine_that_fails_gets_an_answer(engine, result, pictures, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    gap = import_module("benchmarks.gap")
    monkeypatch.setattr(gap, "WARM_UP_S", 0.0)
    assert 0 < gap.in_application(result.bundle, engine, pictures[0][0]) < 60
    # Without a failure there is no event, and the tool says so.
    monkeypatch.setattr(gap._Failing, "fail", lambda _: None)
    with pytest.raises(SystemExit, match=f"^{engine}: its failure must be told, got no event$"):
        gap.in_application(result.bundle, engine, pictures[0][0])
