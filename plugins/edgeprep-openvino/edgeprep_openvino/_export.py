"""The OpenVINO exporter itself. Importing this module imports openvino and torch.

The network is converted alone, and quantized alone; the preprocessing is stitched in front of it
afterwards, so that it is in float at every precision.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeprep.interfaces import Model, Precision, Source
from edgeprep_openvino._telemetry import silence_telemetry

silence_telemetry()

# After its telemetry is silenced.
import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

from edgeprep_openvino._bfloat16 import store_bfloat16  # noqa: E402
from edgeprep_openvino._convert import ROADS, Converted, Road, convert, name_anew  # noqa: E402
from edgeprep_openvino._lookups import gather_lookups  # noqa: E402
from edgeprep_openvino._resize import gather_resizes  # noqa: E402
from edgeprep_openvino._shortcuts import add_shortcuts  # noqa: E402
from edgeprep_openvino._signals import kept_signal_stack  # noqa: E402

__all__ = ["ROADS", "export"]

# Where a file says how many inputs of a matrix product share a range of the moment. Unless told
# otherwise, OpenVINO takes 32 on a CPU that gains by it, wherever weights are stored in 8 bits.
_GROUP_SIZE = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
_GROUP_SIZES: Mapping[Precision, str] = {"int8-dynamic": "32", "int8-weight-only": "0"}


@kept_signal_stack()
def export(source: Source, precision: Precision, roads: Mapping[str, Road] = ROADS) -> Model:
    """`source` as OpenVINO IR.

    Args:
        source: what to export.
        precision: of the weights and, at int8, of the network's arithmetic.
        roads: ways to convert the network, the best first, by name.

    Raises:
        ExportError: no road gives a network that computes what torch computes.
    """
    converted = convert(source, roads)
    network = _at_precision(converted, source, precision)
    whole = _stitch(network, source, precision)
    if precision in _GROUP_SIZES:
        whole.set_rt_info(_GROUP_SIZES[precision], _GROUP_SIZE)
    files = _save(whole, source, compress_to_fp16=False)
    return Model(format="openvino", files=files)


def _at_precision(converted: Converted, source: Source, precision: Precision) -> ov.Model:
    network = converted.network.clone()
    match precision:
        case "int8":
            # Here and not above: importing nncf takes seconds.
            from edgeprep_openvino._quantize import quantize

            return quantize(network, source, converted)
        case "int8-dynamic" | "int8-weight-only":
            from edgeprep_openvino._compress import compress

            return compress(network, source, converted, precision)
        case "fp16":
            return _halve(network, source)
        case "bf16":
            return store_bfloat16(network)
        case _:
            return network


def _stitch(network: ov.Model, source: Source, precision: Precision) -> ov.Model:
    """The preprocessing in front of `network`, named as `source` names its ends."""
    front = ov.Core().read_model(source.preprocessing_onnx)
    gather_resizes(front)
    gather_lookups(front)
    if precision == "int8":
        add_shortcuts(front)
    name_anew(front, "unnamed")
    for node in front.get_ordered_ops():
        node.friendly_name = f"preprocessing/{node.friendly_name}"
    joint = front.get_results()[0].input_value(0)
    for reader in network.input(0).get_target_inputs():
        reader.replace_source_output(joint)
    (image,) = front.get_parameters()
    _, *states = network.get_parameters()
    whole = ov.Model(network.get_results(), [image, *states], "edgeprep")
    name_anew(whole, "added")
    _name_ends(whole, source)
    return whole


def _name_ends(whole: ov.Model, source: Source) -> None:
    ends = {spec.name for spec in (*source.inputs, *source.outputs)}
    for node in whole.get_ordered_ops():
        # A name that the conversion gave to what computes an output.
        if node.friendly_name in ends:
            node.friendly_name = f"network/{node.friendly_name}"
    for node, spec in zip(whole.get_parameters(), source.inputs, strict=True):
        node.friendly_name = spec.name
    for result in whole.get_results():
        result.input_value(0).get_tensor().set_names(set())
    for node, spec in zip(whole.get_results(), source.outputs, strict=True):
        node.friendly_name = spec.name
        node.input_value(0).get_tensor().add_names({spec.name})
    for node, spec in zip(whole.get_parameters(), source.inputs, strict=True):
        node.output(0).get_tensor().set_names({spec.name})


def _halve(network: ov.Model, source: Source) -> ov.Model:
    """`network` with float16 weights; saving is what compresses, and would take all constants."""
    files = _save(network, source, compress_to_fp16=True)
    weights = ov.Tensor(np.frombuffer(files["model.bin"], np.uint8))
    return ov.Core().read_model(model=files["model.xml"], weights=weights)


def _save(model: ov.Model, source: Source, *, compress_to_fp16: bool) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(dir=source.scratch) as folder:
        path = Path(folder) / "model.xml"
        ov.save_model(model, path, compress_to_fp16=compress_to_fp16)
        return {name: (path.parent / name).read_bytes() for name in ("model.xml", "model.bin")}
