"""ONNX operators that shift and scale by statistics."""

import torch
from torch.nn import functional

from edgeprep.stages.primitives.onnx_module.node import OnnxNode

__all__ = [
    "batch_normalization",
    "group_normalization",
    "instance_normalization",
    "layer_normalization",
    "lp_normalization",
]


def batch_normalization(
    node: OnnxNode,
    x: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
) -> torch.Tensor:
    """BatchNormalization with the statistics of training."""
    node.get("momentum", 0.9)  # of training
    if node.get("training_mode", 0):
        raise node.refuse(training_mode=1)
    return functional.batch_norm(
        x, mean, variance, scale, bias, training=False, eps=node.get("epsilon", 1e-5)
    )


def instance_normalization(
    node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """InstanceNormalization: of each channel of each picture."""
    axes = tuple(range(2, x.ndim))
    channels = (-1, *[1] * len(axes))
    shifted = _normalized(x, axes, node.get("epsilon", 1e-5))
    return shifted * scale.reshape(channels) + bias.reshape(channels)


def group_normalization(
    node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """GroupNormalization: of each group of channels of each picture."""
    groups, shape = node.get("num_groups", 1), node.shapes[0]
    node.get("stash_type", 1)
    grouped = x.reshape(shape[0], groups, -1)
    shifted = _normalized(grouped, (2,), node.get("epsilon", 1e-5))
    channels = (-1, *[1] * (len(shape) - 2))
    return shifted.reshape(shape) * scale.reshape(channels) + bias.reshape(channels)


def layer_normalization(
    node: OnnxNode, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """LayerNormalization over the axes from `axis` on."""
    node.get("stash_type", 1)
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)
    lengths = node.shapes[0][axis:]
    if node.shapes[1] == lengths and (bias is None or node.shapes[2] == lengths):
        return functional.layer_norm(x, lengths, scale, bias, epsilon)
    axes = tuple(range(axis % x.ndim, x.ndim))
    shifted = _normalized(x, axes, epsilon) * scale
    return shifted if bias is None else shifted + bias


def lp_normalization(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """LpNormalization; zeros stay zeros."""
    axis, p = node.get("axis", -1), node.get("p", 2)
    squares = x.square().sum(axis, keepdim=True)
    norm = x.abs().sum(axis, keepdim=True) if p == 1 else squares.sqrt()
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


def _normalized(x: torch.Tensor, axes: tuple[int, ...], epsilon: float) -> torch.Tensor:
    centred = x - x.mean(dim=axes, keepdim=True)
    return centred / (centred.square().mean(dim=axes, keepdim=True) + epsilon).sqrt()
