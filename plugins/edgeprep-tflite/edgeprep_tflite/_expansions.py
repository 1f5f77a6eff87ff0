"""What is spread over a shape only to be multiplied or added: left to the operator to spread."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Unexpanded"]

_EXPANDS = {"expand", "expand_as", "broadcast_to"}
# NOTE: none that writes to its operand.
_SPREADS = {
    *("add", "__add__", "__radd__"),
    *("sub", "__sub__", "__rsub__", "subtract"),
    *("mul", "__mul__", "__rmul__", "multiply"),
    *("div", "__div__", "__truediv__", "__rdiv__", "__rtruediv__", "divide", "true_divide"),
}


class Unexpanded(TorchFunctionMode):
    """While it lasts, operators that spread their operands get them as they were before `expand`.

    Between `expand` and a convolution after the product the converter moves axes of one operand
    and not of the other, and then refuses its own product.

    Source: litert-torch 0.10.0, the last product of MobileViT V2's attention.
    """

    def __init__(self) -> None:
        super().__init__()
        # By what it became. The larger one is kept so that no other gets its identity.
        self._small: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` gives, of smaller operands where that is the same."""
        name = getattr(func, "__name__", "")
        if name in _SPREADS and len(args) == 2:
            args = (self._shrunk(args[0], beside=args[1]), args[1])
            args = (args[0], self._shrunk(args[1], beside=args[0]))
        answer = func(*args, **(kwargs or {}))
        if name in _EXPANDS and isinstance(answer, torch.Tensor):
            self._small[id(answer)] = (answer, args[0])
        return answer

    def _shrunk(self, operand: Any, *, beside: Any) -> Any:
        """What `operand` was made of, if the other operand has the whole shape by itself."""
        known = self._small.get(id(operand))
        if known is None or not isinstance(beside, torch.Tensor) or beside.shape != operand.shape:
            return operand
        return known[1]
