"""Configurations: what factories such as the classes of transformers take as an object.

Such a class names the class of its configuration, `config_class`, which reads tables with
`from_dict`. A recipe gives the table, or the name of the file in which a checkpoint has it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeprep.errors import EdgePrepError, RecipeError
from edgeprep.schema import join, nearest
from edgeprep.schema.foreign import name_fault

__all__ = ["with_configuration"]

_WHERE = "model.arguments.config"


def with_configuration(
    factory: object, arguments: Mapping[str, object], directory: Path
) -> Mapping[str, object]:
    """`arguments`, with the object that `factory` wants in place of a table or a file's name.

    Args:
        factory: what will be called; of one without `config_class` nothing is changed.
        arguments: of the recipe; `config` is a table of keys, or the name of a `config.json`.
        directory: of the recipe, where relative paths start.

    Raises:
        RecipeError: the file cannot be read, a key is not known, or a value is refused.
    """
    kind: Any = getattr(factory, "config_class", None)
    given = arguments.get("config")
    if kind is None or not isinstance(given, str | Mapping):
        return arguments
    try:
        if isinstance(given, str):
            table = _read(directory / given, given)
        else:
            # Of a file many keys are about other things; what a person wrote is to mean something.
            _check_keys(given, kind)
            table = dict(given)
        return {**arguments, "config": kind.from_dict(table)}
    except EdgePrepError:
        raise
    except Exception as error:  # the class's own checks may raise anything
        rule = f"must be a configuration that {kind.__name__!r} takes"
        raise RecipeError(f"{_WHERE}: {rule}, got {name_fault(error)}") from error


def _read(path: Path, name: str) -> dict[str, object]:
    rule = "must be the name of a JSON file, relative to the recipe, or a table"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{_WHERE}: {rule}, got {name!r}; looked for {str(path)!r}: {error.strerror}"
        ) from error
    except ValueError as error:
        raise RecipeError(f"{_WHERE}: {rule}, got {name!r}, which is none: {error}") from error
    if not isinstance(table, dict):
        raise RecipeError(f"{_WHERE}: the file {name!r} must hold an object, got {table!r:.80}")
    return table


def _check_keys(given: Mapping[str, object], kind: Any) -> None:
    # The attributes of one by default: classes take keys that they do not know, and ignore them.
    known = kind()
    for key in given:
        if not hasattr(known, key):
            names = [name for name in dir(known) if not name.startswith("_")]
            raise RecipeError(f"{join(_WHERE, key)}: unknown key{nearest(key, names)}")
