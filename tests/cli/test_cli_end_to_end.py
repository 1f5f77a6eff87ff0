"""A network on a real engine, from the recipe to the answer, as a person types it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprep.pictures import read_picture

Run = Callable[..., Any]

ONNX = {'format    = "fake"': 'format    = "onnx"'}


def test_convert_inspect_run_benchmark_and_evaluate_on_onnx_runtime(
    spawn: Run,
    edgeprep: Run,
    project: Callable[..., Path],
    pictures: dict[str, Path],
    left_behind: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGEPREP_PLUGINS", "onnx")
    recipe = project(ONNX)

    def document(*words: object) -> Any:
        ended = edgeprep(*words, "--format", "json")
        assert ended.code == 0, ended.stderr
        assert ended.stderr == ""
        return json.loads(ended.stdout)

    converted = spawn("convert", recipe, "-o", "out.edgeprep", "--format", "json")
    assert converted.code == 0
    variants = json.loads(converted.stdout)["variants"]
    assert [variant["name"] for variant in variants] == ["onnx-fp32", "onnx-int8"]
    assert variants[0]["parity"]["relative"] <= 1e-4
    assert [variant["metric"]["drop"] for variant in variants] == [0.0, 0.0]
    # Every line is one of ours: no library says a word.
    for line in converted.stderr.splitlines():
        assert re.fullmatch(r"✓ .+ \(\d+\.\d s\)", line)
    assert len(converted.stderr.splitlines()) == 6
    assert left_behind() == ["out.edgeprep"]

    names = [one["name"] for one in document("inspect", "out.edgeprep")["manifest"]["variants"]]
    assert names == ["onnx-fp32", "onnx-int8"]

    results = document("run", "out.edgeprep", *pictures.values(), "-o", "drawn")["results"]
    assert [result["label"] for result in results] == list(pictures)
    assert read_picture("drawn/red.png").shape[2] == 3

    candidates = document("benchmark", "out.edgeprep", "--rounds", "3")["candidates"]
    assert {one["variant"] for one in candidates} == set(names)
    assert {one["backend"] for one in candidates} == {"onnxruntime"}
    assert [one["verdict"] for one in candidates].count("chosen") == 1

    scores = document("evaluate", "out.edgeprep", recipe)["candidates"]
    assert [score["value"] for score in scores] == [1.0, 1.0]
