"""Ensembles of bundles for the fake backend."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edgeprep.bundle import open_bundle, write_bundle

Run = Callable[..., Any]
Make = Callable[..., Path]

RECIPE = """
name = "pair"

[[member]]
bundle = "first.edgeprep"
weight = 2.0
[[member]]
bundle = "second.edgeprep"

[combine]
use = "average"

[task]
use    = "classify"
labels = ["red", "green", "blue"]

[data]
evaluation = { factory = "data:pictures" }
"""
LABELS = ("red", "green", "blue")


@pytest.fixture
def recipe(project: Make, make_bundle: Make) -> Make:
    """Writes the recipe of an ensemble of two bundles; parts of its text can be replaced."""
    directory = project().parent
    for name in ("first", "second"):
        moved(make_bundle(*LABELS), directory, name)

    def write(changes: Mapping[str, str] | None = None) -> Path:
        text = RECIPE
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        (directory / "pair.toml").write_text(text)
        return directory / "pair.toml"

    return write


@pytest.fixture
def rename() -> Make:
    """Moves a bundle into a directory, under another name and with changes to its manifest."""
    return moved


@pytest.fixture
def pair(edgeprep: Run, recipe: Make) -> Path:
    """The recipe of pair.edgeprep, which is in the working directory."""
    path = recipe()
    assert edgeprep("ensemble", path).code == 0
    return path


def moved(path: Path, directory: Path, name: str, **changes: Any) -> Path:
    opened = open_bundle(path)
    path.unlink()
    manifest = replace(opened.manifest, name=name, **changes)
    target = directory / f"{name}.edgeprep"
    write_bundle(target, manifest, opened.contents, overwrite=True)
    return target
