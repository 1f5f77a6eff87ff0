"""ONNX reductions over axes."""

from collections.abc import Callable, Mapping, Sequence

import torch

from edgeprep.stages.primitives.onnx_module.node import Function, OnnxNode

__all__ = ["REDUCTIONS", "in_float"]

Reduce = Callable[[torch.Tensor, tuple[int, ...], bool], torch.Tensor]


def in_float(x: torch.Tensor) -> torch.Tensor:
    """Levels in float32, which holds each: LiteRT neither compares, chooses nor bounds uint8."""
    return x.to(torch.float32) if x.dtype == torch.uint8 else x


def _reduction(function: Reduce) -> Function:
    def reduce(node: OnnxNode, x: torch.Tensor, axes: Sequence[int] | None = None) -> torch.Tensor:
        # Before opset 18, axes were an attribute of most reductions.
        chosen, keeps = node.get("axes", axes), bool(node.get("keepdims", 1))
        if node.get("noop_with_empty_axes", 0) and not chosen:
            raise node.refuse(noop_with_empty_axes=1)
        return function(x, tuple(chosen or range(len(node.shapes[0]))), keeps)

    return reduce


def _extreme_index(choose: Callable[..., torch.Tensor]) -> Function:
    def function(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
        axis, keeps = node.get("axis", 0), bool(node.get("keepdims", 1))
        if not node.get("select_last_index", 0):
            return choose(x, axis, keeps)
        from_the_end: torch.Tensor = choose(x.flip(axis), axis, keeps)
        return from_the_end.neg().add(node.shapes[0][axis] - 1)

    return function


def _sum(x: torch.Tensor, axes: tuple[int, ...], keeps: bool) -> torch.Tensor:
    # NOTE: with its own type: torch sums int32 to int64.
    return x.sum(axes, keepdim=keeps, dtype=x.dtype)


def _product(x: torch.Tensor, axes: tuple[int, ...], keeps: bool) -> torch.Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keeps, dtype=x.dtype)
    return x


REDUCTIONS: Mapping[str, Function] = {
    "ArgMax": _extreme_index(torch.argmax),
    "ArgMin": _extreme_index(torch.argmin),
    "ReduceL1": _reduction(lambda x, axes, keeps: _sum(x.abs(), axes, keeps)),
    "ReduceL2": _reduction(lambda x, axes, keeps: _sum(x * x, axes, keeps).sqrt()),
    "ReduceLogSum": _reduction(lambda x, axes, keeps: _sum(x, axes, keeps).log()),
    "ReduceLogSumExp": _reduction(lambda x, axes, keeps: x.logsumexp(axes, keeps)),
    "ReduceMax": _reduction(lambda x, axes, keeps: in_float(x).amax(axes, keeps).to(x.dtype)),
    "ReduceMean": _reduction(lambda x, axes, keeps: x.mean(axes, keeps)),
    "ReduceMin": _reduction(lambda x, axes, keeps: in_float(x).amin(axes, keeps).to(x.dtype)),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(lambda x, axes, keeps: _sum(x * x, axes, keeps)),
}
