"""Nothing joined to something, left out while torch traces."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["WithoutEmpty"]

_JOINS = (torch.cat, torch.concat, torch.concatenate)


class WithoutEmpty(TorchFunctionMode):
    """While it lasts, concatenations leave out tensors that have no elements.

    Networks have them where a configuration asks for none of something, such as register tokens.
    OpenVINO 2026.4 divides by their size while it folds constants, which ends the process.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` gives."""
        if func in _JOINS and args:
            full = [tensor for tensor in args[0] if tensor.numel()]
            args = (full or args[0], *args[1:])
        return func(*args, **(kwargs or {}))
