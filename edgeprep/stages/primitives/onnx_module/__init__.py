"""An ONNX model as a torch module, which can be exported again as a part of another model."""

from collections.abc import Collection, Mapping, Sequence

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, ValueInfoProto, checker, inliner, shape_inference

from edgeprep.stages.primitives.onnx_module.node import (
    OnnxNode,
    need_inside,
    read_tensor,
    refusal,
    torch_type,
)
from edgeprep.stages.primitives.onnx_module.operators import (
    FOLDED,
    MAY_BE_NUMBERS,
    NUMBERS,
    OPERATORS,
)

__all__ = ["OnnxModule"]

# Before 13, axes were attributes; after 24, nobody has looked yet.
OPSETS = range(13, 25)


class OnnxModule(torch.nn.Module):
    """What an ONNX model computes, in torch, for inputs of the one size that the graph has.

    Constants are buffers, which are no part of the state: weights cannot be trained or loaded.
    What only depends on constants and on sizes is computed once, here.

    Args:
        model: a float model with inputs of fixed shapes, opset 13 to 24.

    Raises:
        ExportError: something in the model is not known here.

    Source: ONNX operator specification; every operator is held to ONNX Runtime, floats to 2e-5 and
    whole numbers exactly (tests/stages/test_onnx_operators.py, test_onnx_layers.py).
    """

    def __init__(self, model: bytes) -> None:
        super().__init__()
        proto = _read(model)
        graph = proto.graph
        known = {
            tensor.name: read_tensor(tensor, f"constant {tensor.name!r}")
            for tensor in graph.initializer
        }
        values = {value.name: _example(value) for value in graph.input if value.name not in known}
        self._inputs = tuple(values)
        self._outputs = tuple(value.name for value in graph.output)
        used = {*self._outputs, *(name for entry in graph.node for name in entry.input)}
        nodes = []
        for entry in graph.node:
            node = _node(entry, known)
            made = _run(node, [values[name] for name in node.arriving], used)
            settled = not node.arriving or node.operator in ("Shape", "Size")
            (known if settled else values).update(zip(node.outputs, made, strict=False))
            if not settled:
                nodes.append(node)
        self.nodes = torch.nn.ModuleList(nodes)
        self._wiring = tuple(
            (node.arriving, node.outputs, done)
            for node, done in zip(nodes, _last_uses(nodes, self._outputs), strict=True)
        )
        for index, name in enumerate(self._outputs):
            if name in known:
                self.register_buffer(f"output_{index}", known[name], persistent=False)
        self.eval()  # exporters warn of modules in train mode, which this one does not have

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs of the graph, in its order, from its inputs, in its order."""
        values = dict(zip(self._inputs, inputs, strict=True))
        for node, (arriving, outputs, done) in zip(self.nodes, self._wiring, strict=True):
            made = node(*[values[name] for name in arriving])
            values.update(zip(outputs, made, strict=False))
            for name in done:
                del values[name]
        return tuple(
            values[name] if name in values else self.get_buffer(f"output_{index}")
            for index, name in enumerate(self._outputs)
        )


def _last_uses(nodes: Sequence[OnnxNode], kept: Collection[str]) -> list[tuple[str, ...]]:
    """The values that no node after each one needs, so that large pictures are let go."""
    last = {name: index for index, node in enumerate(nodes) for name in node.arriving}
    return [
        tuple(name for name, used in last.items() if used == index and name not in kept)
        for index in range(len(nodes))
    ]


def _read(model: bytes) -> ModelProto:
    try:
        proto = inliner.inline_local_functions(onnx.load_from_string(model))
        for node in proto.graph.node:
            if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
                name = ".".join(filter(None, (node.domain, node.op_type)))
                label = node.name or next(iter(node.output), "")
                raise refusal("operators must be known to torch here", f"{name!r} (node {label!r})")
        _need_known_opset(proto)
        for tensor in proto.graph.initializer:  # before the checker, which looks for the file
            need_inside(tensor, f"constant {tensor.name!r}")
        checker.check_model(proto, full_check=True)
    except (DecodeError, checker.ValidationError, shape_inference.InferenceError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise refusal("must be a valid ONNX model", repr(reason)) from error
    return proto


def _need_known_opset(proto: ModelProto) -> None:
    opsets = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    for opset in opsets or [1]:
        if opset not in OPSETS:
            raise refusal(f"the opset must be {OPSETS[0]} to {OPSETS[-1]}", str(opset))


# How variants of bundles call the number of pictures, which they leave open: here it is one.
_PICTURES = "edgeprep.batch"


def _example(value: ValueInfoProto) -> torch.Tensor:
    where = f"input {value.name!r}"
    if not value.type.HasField("tensor_type"):
        raise refusal("inputs must be tensors", f"{value.type.WhichOneof('value')} ({where})")
    taken = value.type.tensor_type
    shape = tuple(
        1
        if axis.dim_param == _PICTURES
        else axis.dim_value
        if axis.HasField("dim_value")
        else axis.dim_param or "?"
        for axis in taken.shape.dim
    )
    if not all(isinstance(length, int) for length in shape):
        raise refusal("inputs must have fixed shapes here", f"{shape!r} ({where})")
    return torch.zeros([int(length) for length in shape], dtype=torch_type(taken.elem_type, where))


def _node(entry: NodeProto, known: Mapping[str, torch.Tensor]) -> OnnxNode:
    operator = entry.op_type
    must = range(len(entry.input)) if operator in FOLDED else NUMBERS.get(operator, ())
    for index, name in enumerate(entry.input):
        if index in must and name and name not in known:
            raise refusal(
                "sizes, axes and bounds must be constants here",
                f"{name!r} for {operator!r} (node {entry.name or entry.output[0]!r})",
            )
    numbers = (*NUMBERS.get(operator, ()), *MAY_BE_NUMBERS.get(operator, ()))
    return OnnxNode(entry, OPERATORS[operator], known=known, numbers=numbers)


def _run(
    node: OnnxNode, arriving: Sequence[torch.Tensor], used: Collection[str]
) -> tuple[torch.Tensor, ...]:
    """Try the node once: it learns its shapes, and torch may have no kernel for these types."""
    try:
        with torch.no_grad():
            made: tuple[torch.Tensor, ...] = node(*arriving)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise refusal(
            "torch must compute every node",
            f"{reason!r} from {node.operator!r} (node {node.label!r})",
        ) from error
    node.need_all_attributes_known()
    missing = [name for name in node.outputs[len(made) :] if name in used]
    if missing:
        raise refusal(
            "outputs must be known to torch here",
            f"{missing[0]!r} of {node.operator!r} (node {node.label!r})",
        )
    return made
