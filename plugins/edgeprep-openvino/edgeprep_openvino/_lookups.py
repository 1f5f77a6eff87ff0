"""Tables as Gather, which OpenVINO is six times as fast at as at GatherElements.

ONNX Runtime is eight times as fast at the other one, which is why the preprocessing arrives so.
"""

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from openvino import opset13 as op

__all__ = ["gather_lookups"]


def gather_lookups(model: ov.Model) -> None:
    """Replace, in place, what picks elements of one row: `(1, L)` by `(1, P)`, along axis 1."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "GatherElements" or not _is_of_one_row(node):
            continue
        row = op.reshape(node.input_value(0), np.array([-1]), special_zero=False)
        picked = op.gather(row, node.input_value(1), np.int32(0)).output(0)
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(picked)


def _is_of_one_row(node: ov.Node) -> bool:
    shape = list(node.input(0).get_shape())
    return shape[:-1] == [1] and node.get_attributes()["axis"] in (1, -1)
