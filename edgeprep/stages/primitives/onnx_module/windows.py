"""ONNX operators that slide a window over pictures: convolution and pooling."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edgeprep.stages.primitives.onnx_module.node import OnnxNode

__all__ = ["average_pool", "convolve", "convolve_transposed", "max_pool"]

CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


class Window:
    """How a window goes over the axes after the first two.

    Attributes:
        kernel, strides, dilations: one number for each axis.
        extents: of the kernel with its gaps.
        before, after: borders in elements.
        beyond: elements after the border, which count for nothing.
        lengths: of the axes themselves.
    """

    def __init__(self, node: OnnxNode, kernel: Sequence[int]) -> None:
        axes = len(kernel)
        self.kernel: list[int] = list(node.get("kernel_shape", list(kernel)))
        self.strides: list[int] = list(node.get("strides", [1] * axes))
        self.dilations: list[int] = list(node.get("dilations", [1] * axes))
        self.lengths = list(node.shapes[0][2:])
        self.extents = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        pads: list[int] = list(node.get("pads", [0] * (2 * axes)))
        self.before, self.after = pads[:axes], pads[axes:]
        self.beyond = [0] * axes
        self.auto_pad = node.get("auto_pad", "NOTSET")

    def settle(self) -> None:
        """Borders from `auto_pad`, for a window that goes over the input."""
        if self.auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            totals = [
                max((-(-length // stride) - 1) * stride + extent - length, 0)
                for length, stride, extent in zip(
                    self.lengths, self.strides, self.extents, strict=True
                )
            ]
            self.share(totals, "after" if self.auto_pad == "SAME_UPPER" else "before")
        elif self.auto_pad == "VALID":
            self.before, self.after = [0] * len(self.kernel), [0] * len(self.kernel)

    def share(self, totals: Sequence[int], larger: str) -> None:
        """Halve each border; the odd element goes to the `larger` side."""
        small, large = [total // 2 for total in totals], [-(-total // 2) for total in totals]
        self.before, self.after = (small, large) if larger == "after" else (large, small)

    def reach_the_end(self) -> None:
        """Add what the last window of each axis lacks (ceil_mode)."""
        self.beyond = [self._missing(axis) for axis in range(len(self.kernel))]

    def _missing(self, axis: int) -> int:
        padded = self.lengths[axis] + self.before[axis] + self.after[axis]
        stride = self.strides[axis]
        steps = -(-(padded - self.extents[axis]) // stride)
        # A window must begin inside the input or the border before it.
        if steps * stride >= self.lengths[axis] + self.before[axis]:
            steps -= 1
        return max(steps * stride + self.extents[axis] - padded, 0)


def pad_last(
    x: torch.Tensor, before: Sequence[int], after: Sequence[int], value: float
) -> torch.Tensor:
    """A border of `value` around the last axes; a negative one cuts off."""
    borders = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
    return functional.pad(x, borders, value=value) if any(borders) else x


def convolve(
    node: OnnxNode, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Conv."""
    window = Window(node, node.shapes[1][2:])
    window.settle()
    padding = window.before
    if window.before != window.after:
        x = pad_last(x, window.before, window.after, 0)
        padding = [0] * len(window.kernel)
    function = CONVOLVE[len(window.kernel)]
    return function(
        x, weight, bias, window.strides, padding, window.dilations, node.get("group", 1)
    )


def convolve_transposed(
    node: OnnxNode, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """ConvTranspose: the whole product, cut to what `pads` and `output_shape` leave of it."""
    window = Window(node, node.shapes[1][2:])
    extra = list(node.get("output_padding", [0] * len(window.kernel)))
    full = [
        (length - 1) * stride + extent
        for length, stride, extent in zip(
            window.lengths, window.strides, window.extents, strict=True
        )
    ]
    wanted = node.get("output_shape", None)
    if wanted is None and window.auto_pad.startswith("SAME"):
        wanted = [n * stride for n, stride in zip(window.lengths, window.strides, strict=True)]
    if wanted is not None:
        totals = [
            max(n + more - length, 0)
            for n, more, length in zip(full, extra, wanted[-len(full) :], strict=True)
        ]
        window.share(totals, "after" if window.auto_pad == "SAME_UPPER" else "before")
    group = node.get("group", 1)
    function = TRANSPOSED[len(window.kernel)]
    # Of torch's borders, LiteRT has those that leave a multiple of the input.
    multiplies = not any(extra) and all(
        extent - 2 * n == stride
        for extent, n, stride in zip(window.extents, window.before, window.strides, strict=True)
    )
    if window.before == window.after and (multiplies or not any([*window.before, *extra])):
        return function(x, weight, bias, window.strides, window.before, 0, group, window.dilations)
    whole = function(x, weight, None, window.strides, 0, 0, group, window.dilations)
    cut = pad_last(
        whole,
        [-n for n in window.before],
        [more - n for more, n in zip(extra, window.after, strict=True)],
        0,
    )
    return cut if bias is None else cut + bias.reshape(-1, *[1] * len(window.kernel))


def max_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """MaxPool; of whole numbers too, which torch has no windows over."""
    window = _pooling_window(node)
    node.get("storage_order", 0)  # of the indices, which are refused
    if not x.is_floating_point():
        return _max_pool(window, x.to(torch.float32)).to(x.dtype)
    return _max_pool(window, x)


def _max_pool(window: Window, x: torch.Tensor) -> torch.Tensor:
    padding = window.before
    if window.before != window.after or any(window.beyond) or not _is_small(window):
        x = _padded(window, x, -torch.inf)
        padding = [0] * len(window.kernel)
    function: Any = MAX_POOL[len(window.kernel)]
    pooled: torch.Tensor = function(x, window.kernel, window.strides, padding, window.dilations)
    return pooled


def average_pool(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """AveragePool; over uneven borders, sums divided by how many elements of a window count."""
    window = _pooling_window(node)
    counts_border = bool(node.get("count_include_pad", 0))
    if any(dilation != 1 for dilation in window.dilations):
        raise node.refuse(dilations=window.dilations)
    function: Any = AVERAGE_POOL[len(window.kernel)]
    if window.before == window.after and not any(window.beyond) and _is_small(window):
        pooled: torch.Tensor = function(
            x, window.kernel, window.strides, window.before, False, counts_border
        )
        return pooled
    share = node.constant(lambda: _share(window, counts_border))
    padded = _padded(window, x, 0)
    averaged: torch.Tensor = function(padded, window.kernel, window.strides) * share
    return averaged


def _share(window: Window, counts_border: bool) -> NDArray[np.float32]:
    """The size of the window over how many of its elements count, for each of its positions."""
    shares = np.ones((), np.float64)
    for axis, (length, extent) in enumerate(zip(window.lengths, window.extents, strict=True)):
        border = int(counts_border)
        counted = np.concatenate(
            [
                np.full(window.before[axis], border),
                np.ones(length, np.int64),
                np.full(window.after[axis], border),
                np.zeros(window.beyond[axis], np.int64),
            ]
        )
        windows = np.lib.stride_tricks.sliding_window_view(counted, extent)
        shares = shares[..., None] * (extent / windows[:: window.strides[axis]].sum(axis=1))
    return shares.astype(np.float32)


def _pooling_window(node: OnnxNode) -> Window:
    window = Window(node, node.get("kernel_shape", []))
    window.settle()
    if node.get("ceil_mode", 0):
        window.reach_the_end()
    return window


def _padded(window: Window, x: torch.Tensor, value: float) -> torch.Tensor:
    after = [n + more for n, more in zip(window.after, window.beyond, strict=True)]
    return pad_last(x, window.before, after, value)


def _is_small(window: Window) -> bool:
    """Whether torch takes the border: at most half a window."""
    return all(2 * n <= k for n, k in zip(window.before, window.kernel, strict=True))
