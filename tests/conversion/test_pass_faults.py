"""Faults that passes find: users read where in their recipe they are."""

from pathlib import Path
from typing import Any

import pytest

import edgeprep
from edgeprep.errors import ConvertError, EdgePrepError, RecipeError
from edgeprep.registry import Registry


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            RecipeError("halve.ratio: must be above 0, got 0"),
            "compress[0].ratio: must be above 0, got 0",
        ),
        (
            ConvertError("halve: must find layers, got none"),
            "compress[0]: must find layers, got none",
        ),
        (
            RecipeError("halves.ratio: is of another pass, got 0"),
            "halves.ratio: is of another pass, got 0",
        ),
        (
            RecipeError("data.training: required key is missing"),
            "data.training: required key is missing",
        ),
    ],
)
def test_what_a_pass_finds_wrong_has_the_place_in_the_recipe(
    project: Any,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    raised: EdgePrepError,
    message: str,
) -> None:
    def refuse(*_: object) -> None:
        raise raised

    monkeypatch.setattr(registry.get("pass", "halve"), "apply", refuse)
    with pytest.raises(type(raised), match=r"must|is") as found:
        edgeprep.convert(
            project(more='[[compress]]\nuse = "halve"'),
            tmp_path / "out.edgeprep",
            registry=registry,
        )
    assert str(found.value) == message
