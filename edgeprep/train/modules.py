"""Patterns of module paths, such as `features.*.conv`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch

from edgeprep.errors import RecipeError
from edgeprep.schema import nearest

__all__ = ["inside", "match_pattern", "match_patterns"]


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
        raise RecipeError(f"{where}: {rule}, got {pattern!r}{nearest(pattern, paths)}")
    return found


def inside(path: str, modules: Sequence[str]) -> bool:
    """Whether `path`, of a module or a parameter, is one of `modules` or inside one of them."""
    return f"{path}.".startswith(tuple(f"{module}." for module in modules))
