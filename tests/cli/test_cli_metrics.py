"""`edgeprep run --metrics`: what a run has counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Pictures = dict[str, Path]


def test_what_a_run_has_counted_is_written(
    edgeprep: Run, bundle: Path, pictures: Pictures, tmp_path: Path
) -> None:
    file = tmp_path / "metrics.json"
    ended = edgeprep("run", bundle, *pictures.values(), "--metrics", file)
    assert ended.code == 0
    document = json.loads(file.read_text())
    assert document["schema_version"] == 1
    assert document["session"] == "brightest"
    counts = {step: found["count"] for step, found in document["steps"].items()}
    assert counts == dict.fromkeys(("prepare", "run", "decode", "total"), len(pictures))
    assert document["errors"] == {}


def test_it_is_written_where_a_picture_is_bad_too(
    edgeprep: Run, bundle: Path, pictures: Pictures, tmp_path: Path
) -> None:
    file = tmp_path / "metrics.json"
    assert edgeprep("run", bundle, "absent.png", pictures["red"], "--metrics", file).code == 1
    assert json.loads(file.read_text())["steps"]["total"]["count"] == 1


def test_a_file_that_is_there_is_kept_unless_asked(
    edgeprep: Run, bundle: Path, pictures: Pictures, tmp_path: Path
) -> None:
    file = tmp_path / "metrics.json"
    file.write_text("mine")
    words = ("run", bundle, pictures["red"], "--metrics", file)
    ended = edgeprep(*words)
    assert (ended.code, ended.stdout, file.read_text()) == (2, "", "mine")
    assert ended.stderr == (
        f"edgeprep: {file}: already exists; pass --overwrite (overwrite=True) to replace it\n"
    )
    assert edgeprep(*words, "--overwrite").code == 0
    assert json.loads(file.read_text())["schema_version"] == 1


@pytest.mark.parametrize("which", ["bundle", "picture", "in a folder"])
def test_what_is_read_is_never_replaced(
    edgeprep: Run, bundle: Path, pictures: Pictures, which: str
) -> None:
    file = bundle if which == "bundle" else pictures["red"]
    content = file.read_bytes()
    source = file.parent if which == "in a folder" else pictures["red"]
    ended = edgeprep("run", bundle, source, "--metrics", file, "--overwrite")
    assert (ended.code, ended.stdout, file.read_bytes()) == (2, "", content)
    assert ended.stderr == (f"edgeprep: {file}: must be another file than what is read, got it\n")


@pytest.mark.parametrize("name", ["out", "out/red.png", "out/sheet.png"])
def test_what_else_is_written_is_not_replaced(
    edgeprep: Run, bundle: Path, pictures: Pictures, tmp_path: Path, name: str
) -> None:
    output, file = tmp_path / "out", tmp_path / name
    if file != output:
        output.mkdir()
    words = ("run", bundle, pictures["red"], "-o", output, "--sheet", "--metrics", file)
    ended = edgeprep(*words)
    assert (ended.code, ended.stdout) == (2, "")
    rule = "must be another file than what else is written"
    assert ended.stderr == f"edgeprep: {file}: {rule}, got it\n"
    assert not file.is_file()
