"""The OpenVINO exporter itself. Importing this module imports openvino and torch.

The network is converted alone, and quantized alone; the preprocessing is stitched in front of it
afterwards, so that it is in float at every precision.
"""

import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.jit import TracerWarning  # type: ignore[attr-defined]  # missing from its __all__

from edgeprep.errors import ExportError
from edgeprep.interfaces import Model, Precision, Source
from edgeprep_openvino._reason import reason
from edgeprep_openvino._telemetry import silence_telemetry

silence_telemetry()

# After its telemetry is silenced.
import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

from edgeprep_openvino._lookups import gather_lookups  # noqa: E402
from edgeprep_openvino._resize import gather_resizes  # noqa: E402
from edgeprep_openvino._shortcuts import add_shortcuts  # noqa: E402
from edgeprep_openvino._signals import kept_signal_stack  # noqa: E402

__all__ = ["ROADS", "export"]

Road = Callable[[Source], ov.Model]

# The largest difference over the largest value, as the parity gate demands of a float variant.
_RELATIVE = 1e-4
# A name that openvino made up from the type of the operation and a count of this process.
_COUNTED = re.compile(r"[A-Z]\w*_\d+")


def from_torch(source: Source) -> ov.Model:
    """The network, traced by openvino's frontend for torch."""
    taken = source.network_input
    example = torch.from_numpy(_examples(source)[0])
    with warnings.catch_warnings():
        # openvino traces with torch.jit, which torch has deprecated.
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        # A trace that depends on its example is found by running it on another sample.
        warnings.filterwarnings("ignore", category=TracerWarning)
        return ov.convert_model(
            source.network, example_input=(example,), input=[ov.PartialShape(taken.shape)]
        )


def from_onnx(source: Source) -> ov.Model:
    """The network, read by openvino's frontend for ONNX."""
    with tempfile.TemporaryDirectory(dir=source.scratch) as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(source.network_onnx)
        # Not shared: the file is gone when the model is used.
        return ov.convert_model(path, share_weights=False)


ROADS: Mapping[str, Road] = {"torch": from_torch, "onnx": from_onnx}


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
    road, network = _convert(source, roads)
    if precision == "int8":
        # Here and not above: importing nncf takes seconds.
        from edgeprep_openvino._quantize import quantize

        network = quantize(network, source, road)
    if precision == "fp16":
        network = _halve(network, source)
    files = _save(_stitch(network, source, precision), source, compress_to_fp16=False)
    return Model(format="openvino", files=files)


def _convert(source: Source, roads: Mapping[str, Road]) -> tuple[str, ov.Model]:
    reasons = []
    for name, road in roads.items():
        try:
            network = road(source)
            _check(network, source)
        except Exception as error:  # noqa: BLE001 -- converters let out errors of every kind
            reasons.append(f"{name}: {reason(error)!r}")
            last = error
        else:
            _name_anew(network, "unnamed")
            return name, network
    raise ExportError(
        f"exporter 'openvino': the network must convert by one of {tuple(roads)!r}, "
        f"got {', '.join(reasons)}"
    ) from last


def _check(network: ov.Model, source: Source) -> None:
    """Raise ExportError unless `network` is what torch computes, also off its example."""
    shapes = [tuple(port.get_partial_shape().to_shape()) for port in network.outputs]
    wanted = [spec.shape for spec in source.outputs]
    if shapes != wanted:
        raise ExportError(f"outputs must have shapes {wanted!r}, got {shapes!r}")
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(network, "CPU", exact).create_infer_request()
    for sample in reversed(_examples(source)):
        with torch.inference_mode():
            expected = source.network(torch.from_numpy(sample))
        for spec, value, truth in zip(
            source.outputs, request.infer([sample]).to_tuple(), expected, strict=True
        ):
            error = _relative(value, truth.numpy())
            if not error <= _RELATIVE:
                raise ExportError(
                    f"output {spec.name!r} must be within {_RELATIVE} of torch's, got {error:.2g}"
                )


def _examples(source: Source) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network is traced with, and another one to compare it on."""
    samples = source.calibration_preprocessed
    batch, *rest = source.network_input.shape
    if not len(samples):
        # Float needs no calibration. Both only find a wrong road: the parity gate has real samples.
        shape = (2 * batch, *rest)
        samples = np.random.default_rng(0).standard_normal(shape, np.float32)
    return samples[:batch].copy(), samples[-batch:].copy()


def _relative(value: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The largest difference over the largest value; NaN is never small."""
    difference = np.abs(value.astype(np.float64) - truth).max()
    return float(difference / max(np.abs(truth).max(), np.finfo(np.float32).tiny))


def _stitch(network: ov.Model, source: Source, precision: Precision) -> ov.Model:
    """The preprocessing in front of `network`, named as `source` names its ends."""
    front = ov.Core().read_model(source.preprocessing_onnx)
    gather_resizes(front)
    gather_lookups(front)
    if precision == "int8":
        add_shortcuts(front)
    _name_anew(front, "unnamed")
    for node in front.get_ordered_ops():
        node.friendly_name = f"preprocessing/{node.friendly_name}"
    joint = front.get_results()[0].input_value(0)
    for reader in network.input(0).get_target_inputs():
        reader.replace_source_output(joint)
    (image,) = front.get_parameters()
    whole = ov.Model(network.get_results(), [image], "edgeprep")
    _name_anew(whole, "added")
    _name_ends(whole, source)
    return whole


def _name_ends(whole: ov.Model, source: Source) -> None:
    ends = {source.input.name, *(spec.name for spec in source.outputs)}
    for node in whole.get_ordered_ops():
        # A name that the conversion gave to what computes an output.
        if node.friendly_name in ends:
            node.friendly_name = f"network/{node.friendly_name}"
    image = whole.get_parameters()[0]
    image.friendly_name = source.input.name
    for result in whole.get_results():
        result.input_value(0).get_tensor().set_names(set())
    for node, spec in zip(whole.get_results(), source.outputs, strict=True):
        node.friendly_name = spec.name
        node.input_value(0).get_tensor().add_names({spec.name})
    image.output(0).get_tensor().set_names({source.input.name})


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


def _name_anew(model: ov.Model, group: str) -> None:
    """Replace the names that count what this process has made, so that the bytes do not differ."""
    for index, node in enumerate(model.get_ordered_ops()):
        if _COUNTED.fullmatch(node.friendly_name):
            node.friendly_name = f"{group}/{node.get_type_name()}.{index}"
