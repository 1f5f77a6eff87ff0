"""Patterns of module paths: which layers a target keeps in float."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch

from edgeprep.errors import RecipeError
from edgeprep.schema import nearest

__all__ = ["match_modules"]


def match_modules(network: torch.nn.Module, patterns: Sequence[str], where: str) -> tuple[str, ...]:
    """The paths inside `network` that `patterns` match, as in `features.*.conv`.

    Raises:
        RecipeError: a pattern matches no module.
    """
    paths = [path for path, _ in network.named_modules() if path]
    matched: dict[str, None] = {}
    for index, pattern in enumerate(patterns):
        found = [path for path in paths if fnmatchcase(path, pattern)]
        if not found:
            raise RecipeError(
                f"{where}[{index}]: must match a module of the network, "
                f"got {pattern!r}{nearest(pattern, paths)}"
            )
        matched.update(dict.fromkeys(found))
    return tuple(matched)
