"""Patches that do not overlap put together by moving axes, for which TFLite needs no scatter."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.nn.functional import fold
from torch.overrides import TorchFunctionMode

__all__ = ["FoldsMoved"]


class FoldsMoved(TorchFunctionMode):
    """While it lasts, `fold` of patches that lie side by side adds nothing up.

    The converter writes any other as a scatter, which LiteRT does not load.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` gives."""
        named = kwargs or {}
        return (_fold if func is fold else func)(*args, **named)


def _fold(
    patches: torch.Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> torch.Tensor:
    """`torch.nn.functional.fold`, of `(N, C·rows·columns, L)` or of one without `N`."""
    (height, width), (rows, columns) = _pair(output_size), _pair(kernel_size)
    is_beside = _pair(stride) == (rows, columns) and height % rows == width % columns == 0
    if not is_beside or _pair(dilation) != (1, 1) or _pair(padding) != (0, 0):
        return fold(patches, output_size, kernel_size, dilation, padding, stride)
    inner = patches.reshape(-1, rows, columns, height // rows, width // columns)
    return inner.permute(0, 3, 1, 4, 2).reshape(*patches.shape[:-2], -1, height, width)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)
