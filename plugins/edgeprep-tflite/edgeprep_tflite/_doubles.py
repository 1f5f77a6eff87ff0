"""Numbers of 64 bits as numbers of 32, while torch captures a network for TFLite."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["InFloat32"]


class InFloat32(TorchFunctionMode):
    """While it lasts, what would be float64 is float32.

    TFLite has float64 for storage alone. Networks compute in it what no picture changes, such as
    the places of patches; what it costs is for the parity gate to say.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` gives, in float32 where it would be in float64."""
        narrow = tuple(_narrow(one) for one in args)
        answer = func(*narrow, **{name: _narrow(one) for name, one in (kwargs or {}).items()})
        if isinstance(answer, torch.Tensor) and answer.dtype == torch.float64:
            return answer.to(torch.float32)
        return answer


def _narrow(argument: Any) -> Any:
    return torch.float32 if argument is torch.float64 else argument
