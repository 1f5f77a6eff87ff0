"""Patterns of module paths, such as `features.*.conv`."""

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

import torch

from edgeprep.errors import RecipeError
from edgeprep.schema import name_first, nearest

__all__ = ["inside", "is_pattern", "match_pattern", "match_patterns", "name_outermost"]

_NAMED = 8  # so many modules are named where none is near


def match_patterns(
    network: torch.nn.Module, patterns: Sequence[str], where: str
) -> tuple[str, ...]:
    """The paths inside `network` that any of `patterns` matches, each once.

    Args:
        network: the user's.
        patterns: as in a shell; `*` matches dots, too.
        where: the path of the patterns in the recipe, for messages.

    Raises:
        RecipeError: a pattern matches no module.
    """
    found = [
        path
        for index, pattern in enumerate(patterns)
        for path in match_pattern(network, pattern, f"{where}[{index}]")
    ]
    return tuple(dict.fromkeys(found))


def match_pattern(network: torch.nn.Module, pattern: str, where: str) -> tuple[str, ...]:
    """The paths inside `network` that `pattern` matches, at least one.

    Raises:
        RecipeError: it matches no module; the message begins with `where`.
    """
    paths = [path for path, _ in network.named_modules() if path]
    found = tuple(path for path in paths if fnmatchcase(path, pattern))
    if not found:
        rule = "must match a module of the network"
        remedy = _nearest_pattern(pattern, paths) or f"; known here: {name_outermost(paths)}"
        raise RecipeError(f"{where}: {rule}, got {pattern!r}{remedy}")
    return found


def is_pattern(text: str) -> bool:
    """Whether `text` has wildcards."""
    return bool(re.search(r"[*?\[]", text))


def name_outermost(paths: Collection[str]) -> str:
    """The first and outermost of `paths`, for messages."""
    outer = sorted(paths, key=lambda path: path.count("."))
    return name_first(_NAMED, outer) or "nothing"


def _nearest_pattern(pattern: str, paths: Sequence[str]) -> str:
    """The end of a message: the pattern that was probably meant, with the same wildcards."""
    if not is_pattern(pattern):
        return nearest(pattern, paths)
    parts = pattern.split(".")
    likely = dict.fromkeys(
        ".".join(map(_with_wildcards, parts, path.split(".")))
        for path in paths
        if path.count(".") >= pattern.count(".")
    )
    return nearest(
        pattern, [one for one in likely if any(fnmatchcase(path, one) for path in paths)]
    )


def _with_wildcards(part: str, name: str) -> str:
    """`name`, with the wildcards of `part` of a pattern; `part` where it has them in between."""
    if not is_pattern(part):
        return name
    middle = part.strip("*")
    if not middle or is_pattern(middle):
        return part
    return "*" * part.startswith("*") + name + "*" * part.endswith("*")


def inside(path: str, modules: Sequence[str]) -> bool:
    """Whether `path`, of a module or a parameter, is one of `modules` or inside one of them."""
    return f"{path}.".startswith(tuple(f"{module}." for module in modules))
