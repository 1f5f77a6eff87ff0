"""The README's Python runs as it stands, and what it calls is there to be called."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeprep
from edgeprep.conversion import Result

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"(?<!-->\n)```python\n(.*?)```", re.DOTALL)
# What the README shows of calls that need a camera, an accelerator or a server to end well.
CALLS = re.compile(r"<!-- calls -->\n```python\n(.*?)```", re.DOTALL)


def programs() -> list[str]:
    """What the README shows in Python and does not quote from a file."""
    found = CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) == 2
    return [str(code) for code in found]


def test_the_application_of_the_readme_reads_its_digit(
    result: Result,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = programs()[0]
    (tmp_path / "digits.edgeprep").symlink_to(result.bundle)
    (tmp_path / "model_zoo").symlink_to(ROOT / "model_zoo")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 -- our own text
    first, title, *_ = capsys.readouterr().out.splitlines()
    label, score = first.split()
    assert label == "3"
    assert float(score) > 0.8
    assert title.startswith("digits-mobilenet: ")


def test_the_training_of_the_readme_prepares_its_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(compile(programs()[1], "README.md", "exec"), names)  # noqa: S102 -- our own text
    assert (names["sample"].shape, names["sample"].dtype) == ((1, 64, 64, 3), np.uint8)
    varied = names["preprocess"](torch.from_numpy(names["sample"]))
    plain = names["preprocess"](torch.from_numpy(names["host"].prepare(names["picture"])))
    assert varied.shape == plain.shape == (1, 3, 64, 64)
    assert 0.01 < (varied - plain).abs().mean() < 2


def calls() -> list[ast.AST]:
    """All that stands in the blocks of calls."""
    found = CALLS.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) >= 5
    return [node for code in found for node in ast.walk(ast.parse(code))]


def test_what_the_readme_gives_to_open_is_taken() -> None:
    opened = [
        node
        for node in calls()
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "edgeprep.open"
    ]
    assert len(opened) >= 9
    for call in opened:
        keywords = {str(each.arg): each.value for each in call.keywords}
        inspect.signature(edgeprep.open).bind(*call.args, **keywords)


def test_what_the_readme_asks_a_session_for_is_there() -> None:
    asked = {
        node.attr
        for node in calls()
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "session"
    }
    assert {"health", "choice", "events", "metrics", "batch"} <= asked
    there = {*dir(edgeprep.Session), *edgeprep.Session.__annotations__}
    assert asked <= there


def test_what_the_readme_imports_is_there() -> None:
    imported = [node for node in calls() if isinstance(node, ast.ImportFrom)]
    assert len(imported) >= 2
    for node in imported:
        module = __import__(str(node.module), fromlist=[""])
        assert {alias.name for alias in node.names} <= set(dir(module))
