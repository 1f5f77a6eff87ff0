"""ONNX operators that move, choose, repeat and sum elements."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.stages.primitives.onnx_module.node import Function, OnnxNode, torch_type
from edgeprep.stages.primitives.onnx_module.windows import pad_last

__all__ = ["ARRAYS", "number"]

Numbers = Sequence[int]


def number(value: Any, otherwise: Any = None) -> Any:
    """What an input of one element holds; some exporters write it with an axis."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return otherwise if value is None or value == [] else value


def cast(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Cast."""
    node.get("saturate", 1)  # of float8, as is what follows
    node.get("round_mode", "up")
    return x.to(torch_type(node.get("to", 0), f"node {node.label!r}"))


def cast_like(node: OnnxNode, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """CastLike."""
    node.get("saturate", 1)
    node.get("round_mode", "up")
    return x.to(other.dtype)


def constant(node: OnnxNode) -> torch.Tensor:
    """Constant."""
    value = node.get("value", None)
    floats = node.get("value_float", node.get("value_floats", None))
    integers = node.get("value_int", node.get("value_ints", None))
    node.need_all_attributes_known()  # such as strings
    if value is not None:
        return torch.as_tensor(value)
    dtype = torch.int64 if floats is None else torch.float32
    return torch.tensor(integers if floats is None else floats, dtype=dtype)


def constant_of_shape(node: OnnxNode, shape: Numbers) -> torch.Tensor:
    """ConstantOfShape."""
    value: torch.Tensor = node.get("value", torch.zeros(1))
    return value.reshape(()).expand(tuple(shape)).clone()


def shape(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Shape, which is constant: an exported graph has one size."""
    lengths = node.shapes[0]
    return torch.tensor(lengths[node.get("start", 0) : node.get("end", len(lengths))])


def arrange(
    node: OnnxNode, start: torch.Tensor, limit: torch.Tensor, delta: torch.Tensor
) -> torch.Tensor:
    """Range."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def reshape(node: OnnxNode, x: torch.Tensor, wanted: Numbers) -> torch.Tensor:
    """Reshape."""
    lengths = node.shapes[0]
    keeps = not node.get("allowzero", 0)
    new = [lengths[i] if n == 0 and keeps else n for i, n in enumerate(wanted)]
    if -1 in new:
        new[new.index(-1)] = prod(lengths) // max(prod(n for n in new if n != -1), 1)
    return x.reshape(tuple(new))


def flatten(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Flatten."""
    lengths, axis = node.shapes[0], node.get("axis", 1)
    return x.reshape(prod(lengths[:axis]), prod(lengths[axis:]))


def squeeze(node: OnnxNode, x: torch.Tensor, axes: Numbers | None = None) -> torch.Tensor:
    """Squeeze."""
    lengths = node.shapes[0]
    dropped = (
        {axis for axis, length in enumerate(lengths) if length == 1}
        if axes is None
        else {axis % len(lengths) for axis in axes}
    )
    return x.reshape(tuple(n for axis, n in enumerate(lengths) if axis not in dropped))


def unsqueeze(node: OnnxNode, x: torch.Tensor, axes: Numbers) -> torch.Tensor:
    """Unsqueeze."""
    rank = len(node.shapes[0]) + len(axes)
    added = {axis % rank for axis in axes}
    lengths = iter(node.shapes[0])
    return x.reshape(tuple(1 if axis in added else next(lengths) for axis in range(rank)))


def transpose(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """Transpose."""
    return x.permute(tuple(node.get("perm", range(len(node.shapes[0]))[::-1])))


def expand(node: OnnxNode, x: torch.Tensor, wanted: Numbers) -> torch.Tensor:
    """Expand, which broadcasts both ways."""
    return x.expand(np.broadcast_shapes(node.shapes[0], tuple(wanted)))


def split(
    node: OnnxNode, x: torch.Tensor, sizes: Numbers | None = None
) -> tuple[torch.Tensor, ...]:
    """Split; into even parts where no sizes are said, the last the smallest."""
    axis = node.get("axis", 0)
    parts = node.get("num_outputs", len(node.outputs))
    return torch.split(x, list(sizes) if sizes else -(-node.shapes[0][axis] // parts), axis)


def slices(
    node: OnnxNode,
    x: torch.Tensor,
    starts: Numbers,
    ends: Numbers,
    axes: Numbers | None = None,
    steps: Numbers | None = None,
) -> torch.Tensor:
    """Slice, whose bounds mean what they mean in Python."""
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    kept = [slice(None)] * len(node.shapes[0])
    reversed_axes = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        positions = range(node.shapes[0][axis])[start:end:step]
        if step < 0:  # which torch has not
            positions = positions[::-1]
            reversed_axes.append(axis)
        kept[axis] = slice(positions.start, positions.stop, positions.step)
    cut = x[tuple(kept)]
    return cut.flip(reversed_axes) if reversed_axes else cut


def gather(node: OnnxNode, x: torch.Tensor, indices: Any) -> torch.Tensor:
    """Gather: elements of one axis; negative indices count from its end."""
    axis = node.get("axis", 0)
    length = node.shapes[0][axis]
    if isinstance(indices, int):
        return x.select(axis, indices % length)
    if isinstance(indices, torch.Tensor):
        wanted, flat = node.shapes[1], indices.reshape(-1)
        if flat.dtype in (torch.int32, torch.int64):
            flat = torch.where(flat < 0, flat + length, flat)
    else:
        wanted = np.shape(indices)
        flat = node.constant(lambda: np.array(indices, np.int64).reshape(-1) % length)
    chosen = x.index_select(axis, flat)
    axis %= len(node.shapes[0])
    lengths = (*node.shapes[0][:axis], *wanted, *node.shapes[0][axis + 1 :])
    return chosen if len(wanted) == 1 else chosen.reshape(lengths)


def gather_elements(node: OnnxNode, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """GatherElements."""
    axis = node.get("axis", 0)
    positions = indices.to(torch.int64)
    positions = torch.where(positions < 0, positions + node.shapes[0][axis], positions)
    return x.gather(axis, positions)


def pad(
    node: OnnxNode,
    x: torch.Tensor,
    pads: Numbers,
    value: Any = None,
    axes: Numbers | None = None,
) -> torch.Tensor:
    """Pad: with one value, or with elements of the input, which are chosen by their indices."""
    rank, mode = len(node.shapes[0]), node.get("mode", "constant")
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(range(rank) if axes is None else axes):
        before[axis], after[axis] = pads[i], pads[i + len(pads) // 2]
    if mode == "constant":
        return pad_last(x, before, after, number(value, 0))
    for axis in range(rank):
        if before[axis] or after[axis]:
            border = (node.shapes[0][axis], before[axis], after[axis], mode)
            x = x.index_select(axis, node.constant(partial(_bordered, *border)))
    return x


def _bordered(length: int, before: int, after: int, mode: Any) -> NDArray[np.int64]:
    """The indices of an axis with its border; negative borders cut off."""
    kept = np.arange(length)[max(-before, 0) : length - max(-after, 0)]
    return np.pad(kept, (max(before, 0), max(after, 0)), mode)


def depth_to_space(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """DepthToSpace."""
    block = node.get("blocksize", 1)
    if node.get("mode", "DCR") == "CRD":
        return torch.nn.functional.pixel_shuffle(x, block)
    batch, channels, height, width = node.shapes[0]
    depth = channels // block**2
    parts = x.reshape(batch, block, block, depth, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, depth, height * block, width * block)


def space_to_depth(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    """SpaceToDepth."""
    block = node.get("blocksize", 1)
    batch, channels, height, width = node.shapes[0]
    rows, columns = height // block, width // block
    parts = x.reshape(batch, channels, rows, block, columns, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(batch, channels * block**2, rows, columns)


def trilu(node: OnnxNode, x: torch.Tensor, diagonal: Any = None) -> torch.Tensor:
    """Trilu."""
    cut = torch.triu if node.get("upper", 1) else torch.tril
    return cut(x, number(diagonal, 0))


def cumulative_sum(node: OnnxNode, x: torch.Tensor, axis: Any) -> torch.Tensor:
    """CumSum."""
    exclusive, backwards = node.get("exclusive", 0), node.get("reverse", 0)
    axis = number(axis)
    turned = x.flip(axis) if backwards else x
    total = turned.cumsum(axis, dtype=x.dtype)
    total = total - turned if exclusive else total
    return total.flip(axis) if backwards else total


ARRAYS: Mapping[str, Function] = {
    "Cast": cast,
    "CastLike": cast_like,
    "Concat": lambda node, *parts: torch.cat(parts, node.get("axis", 0)),
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "CumSum": cumulative_sum,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Pad": pad,
    "Range": arrange,
    "Reshape": reshape,
    "Shape": shape,
    "Size": lambda node, x: torch.tensor(prod(node.shapes[0])),
    "Slice": slices,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": lambda node, x, repeats: x.repeat(tuple(repeats)),
    "Transpose": transpose,
    "Trilu": trilu,
    "Unsqueeze": unsqueeze,
}
