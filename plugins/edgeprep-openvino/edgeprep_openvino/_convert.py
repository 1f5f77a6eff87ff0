"""The network, converted by the first road that computes what torch computes.

A conversion is kept as long as its network lives: every precision starts from it, and so does every
choice of layers to keep in float.
"""

import hashlib
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch.jit import TracerWarning  # type: ignore[attr-defined]  # missing from its __all__

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source
from edgeprep_openvino._empty import WithoutEmpty
from edgeprep_openvino._reason import reason

if TYPE_CHECKING:  # which imports nncf
    from edgeprep_openvino._statistics import Statistics

__all__ = ["ROADS", "Converted", "Road", "convert", "name_anew"]

Road = Callable[[Source], ov.Model]
Feed = tuple[NDArray[np.float32], ...]

# The largest difference over the largest value, as the parity gate demands of a float variant.
_RELATIVE = 1e-4
# A name that openvino made up from the type of the operation and a count of this process.
_COUNTED = re.compile(r"[A-Z]\w*_\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A network in float.

    Attributes:
        road: by which it came, which tells how its operations are named.
        network: not to be changed; clones may be.
        statistics: measured on it, by the digest of the samples.
    """

    road: str
    network: ov.Model
    statistics: dict[str, "Statistics"] = field(default_factory=dict)


# By the user's network, then by what else it was made of.
_known: WeakKeyDictionary[torch.nn.Module, dict[str, Converted]] = WeakKeyDictionary()


def from_torch(source: Source) -> ov.Model:
    """The network, traced by openvino's frontend for torch."""
    example = tuple(map(torch.from_numpy, _examples(source)[0]))
    shapes = [ov.PartialShape(taken.shape) for taken in source.network_inputs]
    with warnings.catch_warnings():
        # openvino traces with torch.jit, which torch has deprecated.
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        # A trace that depends on its example is found by running it on another sample.
        warnings.filterwarnings("ignore", category=TracerWarning)
        with WithoutEmpty():
            return ov.convert_model(source.network, example_input=example, input=shapes)


def from_onnx(source: Source) -> ov.Model:
    """The network, read by openvino's frontend for ONNX."""
    with tempfile.TemporaryDirectory(dir=source.scratch) as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(source.network_onnx)
        # Not shared: the file is gone when the model is used.
        return ov.convert_model(path, share_weights=False)


ROADS: Mapping[str, Road] = {"torch": from_torch, "onnx": from_onnx}


def convert(source: Source, roads: Mapping[str, Road]) -> Converted:
    """`source.network` as OpenVINO has it.

    Args:
        source: what to convert.
        roads: ways to do it, the best first, by name.

    Raises:
        ExportError: no road gives a network that computes what torch computes.
    """
    known = _known.setdefault(source.network.get_submodule("network"), {})
    key = _fingerprint(source, roads)
    if key not in known:
        road, network = _convert(source, roads)
        known[key] = Converted(road=road, network=network)
    return known[key]


def _fingerprint(source: Source, roads: Mapping[str, Road]) -> str:
    ways = [(name, id(road)) for name, road in roads.items()]
    digest = hashlib.sha256(repr((source.network_inputs, source.outputs, ways)).encode())
    for tensor in (*source.network.parameters(), *source.network.buffers()):
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


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
            name_anew(network, "unnamed")
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
            expected = source.network(*map(torch.from_numpy, sample))
        for spec, value, truth in zip(
            source.outputs, request.infer(list(sample)).to_tuple(), expected, strict=True
        ):
            error = _relative(value, truth.numpy())
            if not error <= _RELATIVE:
                raise ExportError(
                    f"output {spec.name!r} must be within {_RELATIVE} of torch's, got {error:.2g}"
                )


def _examples(source: Source) -> tuple[Feed, Feed]:
    """What the network is traced with, and another one to compare it on."""
    feeds = list(source.network_feeds())
    if not feeds:
        # Float needs no calibration. Both only find a wrong road: the parity gate has real samples.
        random = np.random.default_rng(0)
        feeds = [
            tuple(random.standard_normal(one.shape, np.float32) for one in source.network_inputs)
            for _ in range(2)
        ]
    first, last = (tuple(each.copy() for each in feed) for feed in (feeds[0], feeds[-1]))
    return first, last


def _relative(value: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The largest difference over the largest value; NaN is never small."""
    difference = np.abs(value.astype(np.float64) - truth).max()
    return float(difference / max(np.abs(truth).max(), np.finfo(np.float32).tiny))


def name_anew(model: ov.Model, group: str) -> None:
    """Replace the names that count what this process has made, so that the bytes do not differ."""
    for index, node in enumerate(model.get_ordered_ops()):
        if _COUNTED.fullmatch(node.friendly_name):
            node.friendly_name = f"{group}/{node.get_type_name()}.{index}"
