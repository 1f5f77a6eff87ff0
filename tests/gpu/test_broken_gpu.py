"""A driver that is listed and cannot run: a verdict, and no exception."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import edgeprep
from edgeprep.errors import NoUsableBackend

BUNDLE = os.environ["EDGEPREP_TEST_BUNDLE"]
REASON = (
    "backend 'litert': must load the model on device 'gpu', got "
    "'Failed to initialize WebGPU environment: INTERNAL: No adapters found'"
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("isolate", [None, False], ids=["in a worker", "here"])
def test_it_is_rejected_with_litert_s_reason_and_the_cpu_answers(isolate: bool | None) -> None:
    with edgeprep.open(BUNDLE, prefer="litert", seconds=0.3, isolate=isolate) as session:
        assert session.choice.device == "cpu"
        gpu = [outcome for outcome in session.outcomes if outcome.candidate.device == "gpu"]
        assert gpu
        assert {(outcome.verdict, outcome.reason) for outcome in gpu} == {("rejected", REASON)}
        assert session(np.zeros((480, 640, 3), np.uint8)).label


def test_who_wants_nothing_else_hears_why() -> None:
    message = rf"tflite-fp32 litert gpu precision=f32: rejected, {re.escape(REASON)}"
    with pytest.raises(NoUsableBackend, match=message):
        edgeprep.open(BUNDLE, prefer="gpu", seconds=0.3)
