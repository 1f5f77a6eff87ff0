"""Short ways back to the picture, without which OpenVINO may take minutes to load 8 bits.

Where something is quantized, OpenVINO's `NetworkHelper::isConstantPath` asks of many values whether
they depend on the picture. It walks back, level by level, along every path anew until it meets a
Parameter or a matrix product: where paths part and meet again, as where edges grow, there are
millions. CLAHE before Canny took 13 s to load, and with an equalisation before both a minute.
"""

from typing import NamedTuple

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from openvino import opset13 as op

__all__ = ["MOST_STEPS", "add_shortcuts"]

# Of one walk, of which there may be hundreds. Preprocessing of one stage rarely has longer ones.
MOST_STEPS = 10_000

# What ends a walk and occurs in preprocessing.
_ENDS = ("Parameter", "MatMul")


class _Walk(NamedTuple):
    """How many inputs are met on each level back, and whether the last level has an end."""

    steps: list[int]
    ends: bool


def add_shortcuts(front: ov.Model) -> int:
    """Add one pixel times zero, in place, to values of `front` that are a long way from its end.

    Args:
        front: the preprocessing, from one picture, uint8.

    Returns:
        How many values that were.
    """
    (picture,) = front.get_parameters()
    walks: dict[str, _Walk] = {}
    nothing: ov.Node | None = None
    added = 0
    for node in front.get_ordered_ops():
        walks[node.get_name()] = walk = _walk(node, walks)
        is_long = sum(walk.steps) > MOST_STEPS
        if not is_long or node.get_output_element_type(0) != ov.Type.f32:
            continue
        if nothing is None:
            nothing = _nothing_of(picture, walks)
        readers = node.output(0).get_target_inputs()
        same = op.add(node, nothing)
        walks[same.get_name()] = _walk(same, walks)
        for reader in readers:
            reader.replace_source_output(same.output(0))
        added += 1
    return added


def _walk(node: ov.Node, walks: dict[str, _Walk]) -> _Walk:
    before = [value.get_node() for value in node.input_values()]
    if any(each.get_type_name() in _ENDS for each in before):
        return _Walk([len(before)], ends=True)
    further = [walks[each.get_name()] for each in before]
    # All branches are followed as far as the shortest that ends.
    ends = [len(walk.steps) for walk in further if walk.ends]
    levels = min(ends) if ends else max((len(walk.steps) for walk in further), default=0)
    counts = [
        sum(walk.steps[at] for walk in further if at < len(walk.steps)) for at in range(levels)
    ]
    return _Walk([len(before), *counts], ends=bool(ends))


def _nothing_of(picture: ov.Node, walks: dict[str, _Walk]) -> ov.Node:
    """A scalar 0 that depends on `picture`, few levels from it."""
    axes = np.arange(4)
    pixel = op.slice(picture, np.zeros_like(axes), np.ones_like(axes), np.ones_like(axes), axes)
    scalar = op.reshape(pixel, np.array([], np.int64), special_zero=False)
    number = op.convert(scalar, "f32")
    nothing = op.multiply(number, np.float32(0))
    for node in (pixel, scalar, number, nothing):
        for value in node.input_values():
            walks.setdefault(value.get_node().get_name(), _Walk([], ends=False))
        walks[node.get_name()] = _walk(node, walks)
    return nothing
