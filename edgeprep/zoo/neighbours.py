"""Which other folders of a zoo a model's files use."""

import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

from edgeprep.errors import RecipeError
from edgeprep.train.code_beside import strings_in
from edgeprep.zoo.models import ZooModel

__all__ = ["neighbours_of"]


def neighbours_of(model: ZooModel) -> tuple[ZooModel, ...]:
    """Models in folders beside that of `model` which its files name, and those that these name.

    A Python file names one by a string of its own, as in `HERE.parent / "digits-mobilenet"`; a TOML
    file by a path, as in `teacher = "../digits-resnet"`.

    Raises:
        RecipeError: a file is not what its name says.
    """
    home = model.directory.resolve().parent
    found: dict[Path, ZooModel] = {}
    waiting = [model.directory.resolve()]
    while waiting:
        directory = waiting.pop()
        for name in _named(directory):
            path = home / name
            if path not in found and path != model.directory.resolve():
                found[path] = ZooModel(path)
                waiting.append(path)
    return tuple(found[path] for path in sorted(found))


def _named(directory: Path) -> list[str]:
    beside = {path.parent.name for path in directory.parent.glob("*/recipe.toml")}
    beside.discard(directory.name)
    named: set[str] = set()
    for path in sorted(directory.iterdir()):
        try:
            if path.suffix == ".py":
                named.update(strings_in(path) & beside)
            elif path.suffix == ".toml":
                named.update(_in_toml(tomllib.loads(path.read_text("utf-8")), beside))
        except (SyntaxError, ValueError) as error:
            kind = "Python" if path.suffix == ".py" else "TOML"
            raise RecipeError(f"{path}: must be {kind}, got {str(error)!r}") from error
    return sorted(named)


def _in_toml(value: object, beside: Collection[str]) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _in_toml(each, beside)
    elif isinstance(value, str) and value.startswith("../"):
        name = value.split("/")[1]
        if name in beside:
            yield name
