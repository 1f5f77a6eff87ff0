"""Another number of classes for a network that has learned others."""

from typing import Any

import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import HeadTable
from edgeprep.schema import nearest

__all__ = ["replace_head"]

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def replace_head(network: torch.nn.Module, head: HeadTable) -> None:
    """Put a new layer, from chance, in the place of the one that names the classes.

    Args:
        network: it is changed in its place.
        head: which layer, a fully connected one or a convolution, and its new number of classes.

    Raises:
        RecipeError: the network has no such layer, or its groups cannot make so many classes.
    """
    paths = [path for path, _ in network.named_modules() if path]
    if head.module not in paths:
        remedy = nearest(head.module, paths)
        raise RecipeError(
            f"model.head.module: must be a module of the network, got {head.module!r}{remedy}"
        )
    parent, _, name = head.module.rpartition(".")
    setattr(network.get_submodule(parent), name, _like(network.get_submodule(head.module), head))


def _like(layer: torch.nn.Module, head: HeadTable) -> torch.nn.Module:
    bias = getattr(layer, "bias", None) is not None
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.Linear(layer.in_features, head.classes, bias)
    if not isinstance(layer, _CONVOLUTIONS):
        inner = [path for path, module in layer.named_modules() if _can_be_replaced(module)]
        remedy = f"; inside it is {f'{head.module}.{inner[-1]}'!r}" if inner else ""
        got = f"{type(layer).__name__!r} at {head.module!r}"
        raise RecipeError(f"model.head.module: must be a Linear or Conv layer, got {got}{remedy}")
    if head.classes % layer.groups:
        rule = f"must be a multiple of the {layer.groups} groups of {head.module!r}"
        raise RecipeError(f"model.head.classes: {rule}, got {head.classes}")
    kind: Any = type(layer)
    convolution: torch.nn.Module = kind(
        layer.in_channels,
        head.classes,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        bias,
        layer.padding_mode,
    )
    return convolution


def _can_be_replaced(module: torch.nn.Module) -> bool:
    return isinstance(module, (torch.nn.Linear, *_CONVOLUTIONS))
