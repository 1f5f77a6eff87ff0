"""An optimizer's state as named tensors and plain numbers, and back."""

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["optimizer_state", "restore_optimizer"]


def optimizer_state(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `optimizer` remembers of each parameter: tensors, and other values, by `number.name`."""
    tensors: dict[str, torch.Tensor] = {}
    others: dict[str, Any] = {}
    for number, remembered in optimizer.state_dict()["state"].items():
        for name, value in remembered.items():
            place = tensors if isinstance(value, torch.Tensor) else others
            place[f"{number}.{name}"] = value
    return tensors, others


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, torch.Tensor],
    others: Mapping[str, Any],
) -> None:
    """Have `optimizer` remember what `optimizer_state` gave; its rates stay what they are."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **others}.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
