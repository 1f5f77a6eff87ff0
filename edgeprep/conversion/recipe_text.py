"""A recipe as the text of a TOML file."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from edgeprep.importers.toml import to_toml
from edgeprep.recipe import Recipe, RecipeText, TargetTable
from edgeprep.schema import to_table

__all__ = ["keys_set", "recipe_text"]

# As people write them: from what comes in to what goes out.
_ORDER = (
    *("name", "placement", "model", "input", "task", "augment", "preprocess", "data", "train"),
    *("compress", "quantize", "target", "budget", "search"),
)


def recipe_text(recipe: Recipe, comment: str) -> str:
    """The file that `load_recipe` reads `recipe` from; what is as by default is left out.

    Args:
        recipe: comments that its own file had are not part of it.
        comment: one line to begin with.
    """
    return "\n\n".join([f"# {comment}", *_blocks(recipe)]) + "\n"


def _blocks(recipe: Recipe) -> Iterator[str]:
    known = {field.name: field for field in fields(RecipeText)}
    values = {
        name: getattr(recipe, name)
        for name in dict.fromkeys((*_ORDER, *known))
        if getattr(recipe, name) != _default(known[name])
    }
    plain = {name: value for name, value in values.items() if isinstance(value, str)}
    yield to_toml([plain], "")
    for name, value in values.items():
        if isinstance(value, tuple):
            yield to_toml([keys_set(item) for item in value], f"[[{name}]]", between="\n\n")
        elif not isinstance(value, str):
            yield to_toml([keys_set(value)], f"[{name}]")


def keys_set(value: Any) -> Mapping[str, object]:
    """The keys of one of a recipe's tables, without those that are as by default."""
    if not is_dataclass(value):
        return dict(value)
    defaults = {field.name: _default(field) for field in fields(value)}
    kept = {name: getattr(value, name) for name in defaults if name != "options"}
    table = {name: _plain(item) for name, item in kept.items() if item != defaults[name]}
    return {**table, **value.options} if isinstance(value, TargetTable) else table


def _plain(value: Any) -> object:
    """`value` as TOML has it: tables for what is one inside."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_table(value)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _default(field: Any) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
