"""One node of an ONNX graph as a module: its attributes, numbers and constants."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper

from edgeprep.errors import ExportError

__all__ = ["TYPES", "Function", "OnnxNode", "need_inside", "read_tensor", "refusal", "torch_type"]

TYPES: Mapping[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.BOOL: torch.bool,
}

# Takes the node, then its inputs: tensors; Python numbers where the table says so; None where an
# optional one is left out.
Function = Callable[..., torch.Tensor | tuple[torch.Tensor, ...]]


def refusal(rule: str, got: str) -> ExportError:
    """The error for a graph that torch cannot compute, with the way round it."""
    return ExportError(
        f'network: {rule}, got {got}; leave the stage on the host, by placement = "host"'
    )


def torch_type(element_type: int, where: str) -> torch.dtype:
    """The element type in torch.

    Raises:
        ExportError: torch has none, or none that exporters know.
    """
    if element_type not in TYPES:
        name = TensorProto.DataType.Name(element_type)
        raise refusal("element types must be known to torch here", f"{name} ({where})")
    return TYPES[element_type]


def read_tensor(tensor: TensorProto, where: str) -> torch.Tensor:
    """A constant of the graph.

    Raises:
        ExportError: its element type is not known here, or its values are in another file.
    """
    torch_type(tensor.data_type, where)
    need_inside(tensor, where)
    return torch.from_numpy(numpy_helper.to_array(tensor).copy())


def need_inside(tensor: TensorProto, where: str) -> None:
    """Raise ExportError where the values of a constant are in another file."""
    if tensor.data_location == TensorProto.EXTERNAL:
        raise refusal("constants must be inside the model", f"external data ({where})")


class OnnxNode(torch.nn.Module):
    """One operator with its attributes, called with the tensors that arrive at it.

    Attributes:
        operator: its name in ONNX.
        label: the name of the node or, where it has none, of its first output.
        shapes: of the inputs that are tensors here, fixed by the first call.
        arriving: the names of the inputs that are computed, in order.
        outputs: the names of what it computes.
    """

    def __init__(
        self,
        node: NodeProto,
        function: Function,
        *,
        known: Mapping[str, torch.Tensor],
        numbers: Iterable[int],
    ) -> None:
        super().__init__()
        self.operator: str = node.op_type
        self.label: str = node.name or node.output[0]
        self.outputs = tuple(node.output)
        self.arriving = tuple(name for name in node.input if name and name not in known)
        self.shapes: tuple[tuple[int, ...], ...] = ()
        self._function = function
        self._attributes = {entry.name: self._read(entry) for entry in node.attribute}
        self._asked: set[str] = set()
        self._made = 0
        self._places: list[str | None] = []
        self._numbers: dict[str, Any] = {}
        for index, name in enumerate(node.input):
            place = f"input_{index}" if name in known else ("arriving" if name else None)
            if name in known and index in numbers:
                self._numbers[f"input_{index}"] = known[name].tolist()
            elif name in known:
                self.register_buffer(f"input_{index}", known[name], persistent=False)
            self._places.append(place)

    def __getstate__(self) -> dict[str, Any]:
        """All but the function, which is the operator's and may have no name to be found by."""
        return {key: value for key, value in self.__dict__.items() if key != "_function"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What `__getstate__` gave, and the function."""
        from edgeprep.stages.primitives.onnx_module.operators import OPERATORS  # it imports this

        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._function = OPERATORS[self.operator]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the operator makes of `tensors`, which are the inputs named in `arriving`."""
        arguments = self._arguments(tensors)
        if not self.shapes:
            self.shapes = tuple(tuple(x.shape) for x in arguments if isinstance(x, torch.Tensor))
        self._made = 0
        made = self._function(self, *arguments)
        return made if isinstance(made, tuple) else (made,)

    def get(self, name: str, default: Any) -> Any:
        """The attribute `name`, or what ONNX says it is where it is left out."""
        self._asked.add(name)
        return self._attributes.get(name, default)

    def constant(self, make: Callable[[], NDArray[Any]]) -> torch.Tensor:
        """A tensor that the operator needs, made at the first call and kept as a buffer."""
        name = f"constant_{self._made}"
        self._made += 1
        if name not in self._buffers:
            made = torch.from_numpy(np.ascontiguousarray(make()))
            self.register_buffer(name, made, persistent=False)
        return self.get_buffer(name)

    def refuse(self, **attributes: Any) -> ExportError:
        """The error for attributes whose values are not known here."""
        values = ", ".join(f"{name}={value!r}" for name, value in attributes.items())
        return refusal(
            "attributes must be known to torch here",
            f"{values} of {self.operator!r} (node {self.label!r})",
        )

    def need_all_attributes_known(self) -> None:
        """Raise ExportError for attributes that the operator has not asked for."""
        unknown = self._attributes.keys() - self._asked
        if unknown:
            raise self.refuse(**{name: self._attributes[name] for name in sorted(unknown)})

    def _arguments(self, tensors: tuple[torch.Tensor, ...]) -> list[Any]:
        arriving = iter(tensors)
        arguments: list[Any] = []
        for place in self._places:
            if place == "arriving":
                arguments.append(next(arriving))
            elif place is None or place in self._numbers:
                arguments.append(self._numbers.get(place or ""))
            else:
                arguments.append(self.get_buffer(place))
        return arguments

    def _read(self, attribute: AttributeProto) -> Any:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, TensorProto):
            return read_tensor(value, f"node {self.label!r}")
        if isinstance(value, SparseTensorProto):
            raise self.refuse(**{attribute.name: type(value).__name__})
        return value.decode() if isinstance(value, bytes) else value
