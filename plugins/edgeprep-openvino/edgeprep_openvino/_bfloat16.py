"""Weights in bfloat16."""

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from openvino import opset13 as op

__all__ = ["store_bfloat16"]

# Smaller constants are shapes' worth of bytes, such as an epsilon, and may matter.
_FEWEST = 16


def store_bfloat16(network: ov.Model) -> ov.Model:
    """`network` with its float constants rounded to bfloat16, in place: half the file.

    An engine that computes in bfloat16 loses nothing more by it, as it would round weights itself;
    another one makes them float32 again. OpenVINO does either, as its precision hint says.
    """
    for node in network.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != ov.Type.f32:
            continue
        values = node.data
        if values.size < _FEWEST or not np.isfinite(values).all():
            continue
        stored = op.constant(values, dtype=ov.Type.bf16)
        stored.friendly_name = f"{node.friendly_name}/bf16"
        widened = op.convert(stored, "f32")
        widened.friendly_name = node.friendly_name
        # As OpenVINO marks what compresses weights, so that it is not computed when it loads.
        widened.get_rt_info()["decompression"] = ""
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(widened.output(0))
    return network
