"""Which parameters learn, and how quickly each of them does."""

from collections.abc import Iterator
from typing import Any

import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.train.modules import inside, match_pattern, match_patterns

__all__ = ["build_optimizer", "check_patterns", "freeze", "set_rate"]


def check_patterns(network: torch.nn.Module, settings: TrainTable) -> None:
    """Look for what the patterns of `settings` name, before anything is written.

    Raises:
        RecipeError: a pattern matches no module, or nothing is left to learn.
    """
    _frozen(network, settings)
    for pattern in settings.rates:
        match_pattern(network, pattern, f"train.rates.{pattern}")


def freeze(network: torch.nn.Module, settings: TrainTable) -> tuple[str, ...]:
    """Let every parameter learn but those in modules that `settings` freeze: their paths.

    Raises:
        RecipeError: a pattern matches no module, or nothing is left to learn.
    """
    frozen = _frozen(network, settings)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(parameter.is_floating_point() and not inside(name, frozen))
    return frozen


def _frozen(network: torch.nn.Module, settings: TrainTable) -> tuple[str, ...]:
    """The paths of the modules that do not learn, where something else does."""
    frozen = match_patterns(network, settings.freeze, "train.freeze")
    able = [name for name, value in network.named_parameters() if value.is_floating_point()]
    if not able:
        raise RecipeError("model.factory: the network must have a parameter to learn, got none")
    if all(inside(name, frozen) for name in able):
        last = able[-1].rpartition(".")[0]
        raise RecipeError(
            f"train.freeze: must leave a parameter that learns, got {list(settings.freeze)!r}; "
            f"at least the last layer, {last!r}, should learn"
        )
    return frozen


def build_optimizer(
    network: torch.nn.Module, others: torch.nn.Module, settings: TrainTable, *, rate: float
) -> torch.optim.Optimizer:
    """The optimizer of `settings`, one group of parameters for each factor of the learning rate.

    Args:
        network: its parameters that need a gradient learn, at the rates that `settings` have.
        others: what learns beside it, at the full rate.
        settings: `[train]`.
        rate: the learning rate, for the start.

    Raises:
        RecipeError: a pattern of `rates` matches no module.
    """
    factors = {
        pattern: (match_pattern(network, pattern, f"train.rates.{pattern}"), factor)
        for pattern, factor in settings.rates.items()
    }
    by_factor: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        matching = [factor for paths, factor in factors.values() if inside(name, paths)]
        by_factor.setdefault((1.0, *matching)[-1], []).append(parameter)
    by_factor.setdefault(1.0, []).extend(others.parameters())
    groups = [
        {"params": learning, "factor": factor, "lr": rate * factor}
        for factor, parameters in sorted(by_factor.items())
        if (learning := [each for each in parameters if each.requires_grad])
    ]
    return _optimizer(groups, settings, rate)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Have the next step of `optimizer` use the learning rate `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def _optimizer(
    groups: list[dict[str, Any]], settings: TrainTable, rate: float
) -> torch.optim.Optimizer:
    decay = settings.weight_decay
    match settings.optimizer:
        case "sgd":
            momentum, nesterov = settings.momentum, settings.nesterov
            return torch.optim.SGD(
                groups, rate, momentum=momentum, weight_decay=decay, nesterov=nesterov
            )
        case "adam":
            return torch.optim.Adam(groups, rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(groups, rate, weight_decay=decay)


def norms_inside(network: torch.nn.Module, frozen: tuple[str, ...]) -> Iterator[torch.nn.Module]:
    """The batch normalizations of `network` in the modules `frozen`."""
    for path, module in network.named_modules():
        # The base of all that keep running statistics, in 1, 2 and 3 dimensions and synchronised.
        if isinstance(module, torch.nn.modules.batchnorm._NormBase) and inside(path, frozen):
            yield module
