"""Where the weights lie in an exported model, and the model with other ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import onnx
from ai_edge_quantizer.utils import tfl_flatbuffer_utils
from numpy.typing import NDArray

from edgeprep.interfaces import Model

__all__ = ["Weight", "list_weights", "with_weight"]

Array = NDArray[np.generic]

# Fewer are biases, scales and constants of the preprocessing.
_LEAST = 16
_OPENVINO_TYPES = {"f32": np.float32, "f16": np.float16, "i8": np.int8, "u8": np.uint8}
_OPENVINO_WEIGHTS = ("model.xml", "model.bin")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """One array of weights.

    Attributes:
        name: in the file.
        values: what it holds.
        file: of the model's files, the one that holds it.
        offset: of its first byte there.
    """

    name: str
    values: Array
    file: str
    offset: int


def list_weights(model: Model) -> tuple[Weight, ...]:
    """Every array of two axes or more and of 16 numbers or more, in the order of the file."""
    found = _READERS[model.format](model.files)
    return tuple(one for one in found if one.values.ndim > 1 and one.values.size >= _LEAST)


def with_weight(model: Model, weight: Weight, values: Array) -> Model:
    """`model` with `values` in the place of those of `weight`; all else stays, byte for byte."""
    if values.shape != weight.values.shape or values.dtype != weight.values.dtype:
        rule = f"weight {weight.name!r}: must stay {weight.values.dtype} {weight.values.shape}"
        raise ValueError(f"{rule}, got {values.dtype} {values.shape}")
    content = model.files[weight.file]
    raw = values.tobytes()
    changed = content[: weight.offset] + raw + content[weight.offset + len(raw) :]
    return Model(format=model.format, files={**model.files, weight.file: changed})


def _onnx(files: Mapping[str, bytes]) -> list[Weight]:
    content = files["model.onnx"]
    graph = onnx.load_from_string(content).graph
    named = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    return _placed("model.onnx", content, named)


def _openvino(files: Mapping[str, bytes]) -> list[Weight]:
    xml, binary = (files[name] for name in _OPENVINO_WEIGHTS)
    found = []
    for layer in ElementTree.fromstring(xml).iter("layer"):  # noqa: S314 -- we wrote it
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None:
            continue
        dtype = _OPENVINO_TYPES.get(data.get("element_type", ""))
        shape = [int(size) for size in data.get("shape", "").split(",") if size]
        if dtype is None:
            continue
        offset, count = int(data.get("offset", 0)), int(np.prod(shape))
        values = np.frombuffer(binary, dtype, count, offset).reshape(shape)
        name = layer.get("name", "")
        found.append(Weight(name=name, values=values, file="model.bin", offset=offset))
    return found


def _tflite(files: Mapping[str, bytes]) -> list[Weight]:
    content = files["model.tflite"]
    model = tfl_flatbuffer_utils.read_model(content)
    kinds = {0: np.float32, 1: np.float16, 9: np.int8}
    named = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data) and tensor.type in kinds:
            values = np.frombuffer(bytes(data), kinds[tensor.type])
            named[tensor.name.decode()] = values.reshape(tensor.shape)
    return _placed("model.tflite", content, named)


def _placed(file: str, content: bytes, named: Mapping[str, Array]) -> list[Weight]:
    """Those whose bytes lie in `content` exactly once."""
    found = []
    for name, values in named.items():
        raw = values.tobytes()
        offset = content.find(raw)
        if len(raw) >= _LEAST and offset >= 0 and content.find(raw, offset + 1) < 0:
            found.append(Weight(name=name, values=values, file=file, offset=offset))
    return found


_READERS: Mapping[str, Callable[[Mapping[str, bytes]], list[Weight]]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "tflite": _tflite,
}
