"""Patterns of module paths: which layers a target keeps in float."""

from collections.abc import Collection, Mapping, Sequence

import torch

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import RecipeError
from edgeprep.recipe import QuantizeTable
from edgeprep.train.modules import match_patterns

__all__ = ["match_modules", "quantized_as"]


def match_modules(
    network: torch.nn.Module, patterns: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The paths inside `network` that `patterns` match, as in `features.*.conv`.

    Args:
        network: the user's.
        patterns: by where the recipe has them, for messages.

    Raises:
        RecipeError: a pattern matches no module, or no layer with weights is left.
    """
    found = [
        path
        for where, listed in patterns.items()
        for path in match_patterns(network, listed, where)
    ]
    matched = dict.fromkeys(found)
    _check_rest(network, matched, next((at for at, listed in patterns.items() if listed), ""))
    return tuple(matched)


def quantized_as(
    table: QuantizeTable, source: NetworkSource, network: torch.nn.Module
) -> NetworkSource:
    """`source`, which is that of `network`, with what a recipe says of every format alike.

    Raises:
        RecipeError: as `match_modules`.
    """
    kept = match_modules(network, {"quantize.keep_float": table.keep_float})
    return source.quantized_by(table.policy).keeping(kept)


def _check_rest(network: torch.nn.Module, matched: Collection[str], where: str) -> None:
    layers = [
        path
        for path, module in network.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    ]
    # A module that is kept stands for all that is inside it.
    kept = tuple(f"{path}." for path in matched)
    if kept and layers and all(f"{layer}.".startswith(kept) for layer in layers):
        raise RecipeError(
            f"{where}: must leave a layer with weights to be quantized, got patterns that keep all "
            f"{len(layers)}; name fewer of them, or leave keep_float and 'int8' out"
        )
