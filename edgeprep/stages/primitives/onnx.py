"""The primitives as a graph builder, and a chain as an ONNX model, without torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeprep.interfaces import Network
from edgeprep.stages.chain import Chain
from edgeprep.stages.formulas.growth import grow
from edgeprep.stages.formulas.histogram import histogram, ranked
from edgeprep.stages.formulas.resample import Kernel, bands, resample
from edgeprep.stages.primitives.onnx_foreign import foreign_graph
from edgeprep.tensors import DType

__all__ = ["OnnxPrimitives", "Value", "build_onnx"]

ELEMENT_TYPES: dict[DType, int] = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
Constant = NDArray[np.float32] | float

OPSET = 20
# The first IR version that has opset 20; a newer one would shut out runtimes for no gain.
IR_VERSION = 9


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the graph, known by its name."""

    name: str
    shape: tuple[int, ...]
    dtype: DType


class OnnxPrimitives:
    """`F` over graph values; see `edgeprep.interfaces.Primitives` for what each operation means.

    Attributes:
        nodes: the operations so far, in order.
        initializers: the constants so far.
    """

    level_type: DType = "uint8"

    def __init__(self, opset: int = OPSET) -> None:
        self._opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        # By the name of what has its channels back to front, what it was before.
        self._reversed: dict[str, Value] = {}
        # Likewise of what has its axes in another order, with that order.
        self._transposed: dict[str, tuple[Value, tuple[int, ...]]] = {}

    def shape(self, x: Value) -> tuple[int, ...]:
        """The length of every axis."""
        return x.shape

    def cast(self, x: Value, dtype: DType) -> Value:
        """Another element type."""
        if x.dtype == dtype:
            return x
        return self._node("Cast", [x], x.shape, dtype, to=ELEMENT_TYPES[dtype])

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Another shape."""
        return self._node("Reshape", [x, np.array(shape, np.int64)], tuple(shape))

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """Another order of axes; two such orders one after the other are one, or none."""
        if x.name in self._transposed:
            x, first = self._transposed[x.name]
            axes = [first[axis] for axis in axes]
        if list(axes) == list(range(len(x.shape))):
            return x
        shape = tuple(x.shape[axis] for axis in axes)
        result = self._node("Transpose", [x], shape, perm=list(axes))
        self._transposed[result.name] = x, tuple(axes)
        return result

    def slice(self, x: Value, axis: int, start: int, stop: int) -> Value:
        """A part of one axis."""
        bounds = [np.array([number], np.int64) for number in (start, stop, axis)]
        return self._node("Slice", [x, *bounds], _with_length(x, axis, stop - start))

    def reverse(self, x: Value, axis: int) -> Value:
        """One axis back to front; channels as whole planes, which engines move at once."""
        if axis != 3:
            return self.gather(x, axis, np.arange(x.shape[axis], dtype=np.int64)[::-1])
        if x.name in self._reversed:
            return self._reversed[x.name]
        planes = self.reverse(self.transpose(x, (0, 3, 1, 2)), 1)
        result = self.transpose(planes, (0, 2, 3, 1))
        self._reversed[result.name] = x
        return result

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        """Values one after the other."""
        length = sum(part.shape[axis] for part in parts)
        return self._node("Concat", parts, _with_length(parts[0], axis, length), axis=axis)

    def gather(self, x: Value, axis: int, indices: NDArray[np.int64]) -> Value:
        """Chosen elements of one axis."""
        return self._node("Gather", [x, indices], _with_length(x, axis, len(indices)), axis=axis)

    def pad(self, x: Value, axis: int, before: int, after: int, value: int) -> Value:
        """A border of one value."""
        borders = np.zeros((2, len(x.shape)), np.int64)
        borders[:, axis] = before, after
        shape = _with_length(x, axis, x.shape[axis] + before + after)
        return self._node("Pad", [x, borders.reshape(-1), value], shape)

    def matmul(self, a: Value | NDArray[np.float32], b: Value | NDArray[np.float32]) -> Value:
        """The matrix product."""
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return self._node("MatMul", [a, b], (*batch, a.shape[-2], b.shape[-1]), "float32")

    def add(self, a: Value, b: Value | Constant) -> Value:
        """The sum."""
        return self._binary("Add", a, b)

    def subtract(self, a: Value, b: Value | Constant) -> Value:
        """The difference."""
        return self._binary("Sub", a, b)

    def multiply(self, a: Value, b: Value | Constant) -> Value:
        """The product."""
        return self._binary("Mul", a, b)

    def scale_channels(
        self, x: Value, factor: NDArray[np.float32], offset: NDArray[np.float32]
    ) -> Value:
        """A product and a sum, plane by plane, which is how nearly all networks take pictures.

        NOTE: not with channels last, which takes ONNX Runtime 30 times as long.
        """
        planes = self.transpose(self.cast(x, "float32"), (0, 3, 1, 2))
        factors, offsets = (each.reshape(1, -1, 1, 1) for each in (factor, offset))
        return self.transpose(self.add(self.multiply(planes, factors), offsets), (0, 2, 3, 1))

    def divide(self, a: Value, b: Value) -> Value:
        """The quotient."""
        return self._binary("Div", a, b)

    def minimum(self, a: Value, b: Value | Constant) -> Value:
        """The lesser of each pair."""
        return self._binary("Min", a, b)

    def maximum(self, a: Value, b: Value | Constant) -> Value:
        """The greater of each pair."""
        return self._binary("Max", a, b)

    def greater(self, a: Value, b: Value | Constant) -> Value:
        """1 where the first is greater."""
        return self._compare("Greater", a, b)

    def equal(self, a: Value, b: Value | Constant) -> Value:
        """1 where both are equal."""
        return self._compare("Equal", a, b)

    def select(self, mask: Value, a: Value, b: Value) -> Value:
        """One or the other."""
        condition = self._binary("Greater", mask, 0.5)
        return self._node("Where", [condition, a, b], a.shape, a.dtype)

    def absolute(self, x: Value) -> Value:
        """Without signs."""
        return self._node("Abs", [x], x.shape)

    def sqrt(self, x: Value) -> Value:
        """Square roots."""
        return self._node("Sqrt", [x], x.shape)

    def exp(self, x: Value) -> Value:
        """Powers of e."""
        return self._node("Exp", [x], x.shape)

    def power(self, x: Value, exponent: float) -> Value:
        """Powers of the elements."""
        return self._node("Pow", [x, exponent], x.shape)

    def reduce_sum(self, x: Value, axes: Sequence[int]) -> Value:
        """Sums."""
        return self._reduce("ReduceSum", x, axes)

    def reduce_min(self, x: Value, axes: Sequence[int]) -> Value:
        """Minima."""
        return self._reduce("ReduceMin", x, axes)

    def reduce_max(self, x: Value, axes: Sequence[int]) -> Value:
        """Maxima."""
        return self._reduce("ReduceMax", x, axes)

    def lookup(self, tables: Value, indices: Value) -> Value:
        """Elements of one table for each picture."""
        rows = self.reshape(indices, (tables.shape[0], prod(indices.shape[1:])))
        positions = self._node("Cast", [rows], rows.shape, "int32", to=TensorProto.INT32)
        # Not Gather, which copies element by element in ONNX Runtime and takes eight times as long.
        found = self._node("GatherElements", [tables, positions], rows.shape, "float32", axis=1)
        return self.reshape(found, indices.shape)

    def histogram(self, x: Value) -> Value:
        """How often each level occurs, by matrix products."""
        return histogram(self, x)

    def ranked(self, x: Value, rank: int) -> Value:
        """One level in order, by halving."""
        return ranked(self, x, rank)

    def clip(self, x: Value, low: float, high: float) -> Value:
        """Values held between two bounds."""
        return self._node("Clip", [x, low, high], x.shape)

    def floor(self, x: Value) -> Value:
        """The whole numbers below."""
        return self._node("Floor", [x], x.shape)

    def round(self, x: Value) -> Value:
        """The nearest whole numbers."""
        return self._node("Round", [x], x.shape)

    def grow(self, seeds: Value, within: Value, steps: int) -> Value:
        """As many dilations as steps."""
        return grow(self, seeds, within, steps)

    def by_strips(self, x: Value, overlap: int, of: Callable[[Value], Value]) -> Value:
        """All rows at once."""
        return of(x)

    def resize_linear(self, x: Value, height: int, width: int) -> Value:
        """Half-pixel bilinear; channels stay last, which ONNX Runtime has a fast path for."""
        if x.name in self._reversed:  # which costs less of what is small
            return self.reverse(self.resize_linear(self._reversed[x.name], height, width), 3)
        # NOTE: not on uint8, which ONNX Runtime truncates (onnxruntime #7368).
        x = self.cast(x, "float32")
        shape = (x.shape[0], height, width, x.shape[3])
        return self._node(
            "Resize",
            [x, None, None, np.array(shape, np.int64)],
            shape,
            mode="linear",
            coordinate_transformation_mode="half_pixel",
            antialias=0,
        )

    def resample(self, x: Value, axis: int, length: int, kernel: Kernel) -> Value:
        """Antialiased bilinear or area along one axis, as a banded matrix product."""
        # NOTE: not ONNX Runtime's own, by the attribute antialias: it takes 1.5 times as long for
        # 1280×720 pixels and as long for 1920×1080, and other engines ignore the attribute.
        if x.name in self._reversed:  # likewise
            return self.reverse(self.resample(self._reversed[x.name], axis, length, kernel), 3)
        return resample(self, x, axis, bands(self.shape(x)[axis], length, kernel))

    def network(self, x: Value, network: Network) -> Value:
        """Its nodes, under names that nothing else here has."""
        prefix = f"network_{len(self.nodes)}_"
        graph = foreign_graph(network.onnx, self._opset, takes=x.name, prefix=prefix)
        self.nodes += graph.node
        self.initializers += graph.initializer
        output = graph.output[0]
        # How many pictures there are is left open in it; here it is one.
        shape = tuple(length.dim_value or 1 for length in output.type.tensor_type.shape.dim)
        return Value(output.name, shape, "float32")

    def _binary(self, operator: str, a: Value, b: Value | Constant) -> Value:
        if not isinstance(b, Value):
            # Of as many axes as `a`: with fewer, ONNX Runtime is 100 times slower where the last
            # axis has one element, as it has in grey pictures.
            array = np.asarray(b, np.float32)
            b = array.reshape((1,) * (len(a.shape) - array.ndim) + array.shape)
        return self._node(operator, [a, b], np.broadcast_shapes(a.shape, b.shape))

    def _compare(self, operator: str, a: Value, b: Value | Constant) -> Value:
        found = self._binary(operator, a, b)
        return self._node("Cast", [found], found.shape, "float32", to=TensorProto.FLOAT)

    def _reduce(self, operator: str, x: Value, axes: Sequence[int]) -> Value:
        shape = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
        return self._node(operator, [x, np.array(axes, np.int64)], shape, keepdims=1)

    def _node(
        self,
        operator: str,
        inputs: Sequence[Value | NDArray[Any] | float | None],
        shape: tuple[int, ...],
        dtype: DType | None = None,
        **attributes: Any,
    ) -> Value:
        first = inputs[0]
        if dtype is None:
            dtype = first.dtype if isinstance(first, Value) else "float32"
        output = Value(f"value_{len(self.nodes)}", shape, dtype)
        names = [self._name(value) for value in inputs]
        node = helper.make_node(operator, names, [output.name], name=output.name, **attributes)
        self.nodes.append(node)
        return output

    def _name(self, value: Value | NDArray[Any] | float | None) -> str:
        if value is None:
            return ""  # an optional input that is left out
        if isinstance(value, Value):
            return value.name
        # NOTE: not ascontiguousarray, which makes rank 1 of rank 0.
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self.initializers)}"
            tensor = numpy_helper.from_array(array.copy(order="C"), self._constants[key])
            self.initializers.append(tensor)
        return self._constants[key]


def _with_length(x: Value, axis: int, length: int) -> tuple[int, ...]:
    return (*x.shape[:axis], length, *x.shape[axis + 1 :])


def build_onnx(
    chain: Chain,
    *,
    input_name: str = "image",
    output_name: str = "preprocessed",
    opset: int = OPSET,
) -> bytes:
    """The chain as an ONNX model: uint8 `(1, H, W, C)` to what leaves the chain.

    The same chain gives the same bytes.

    Raises:
        RecipeError: pictures of any size may come; a graph has one size.
    """
    chain.need_fixed_size()
    F = OnnxPrimitives(opset)
    arriving = Value(input_name, chain.input.shape(), chain.input.dtype)
    leaving = chain.apply(F, arriving)
    F.nodes.append(helper.make_node("Identity", [leaving.name], [output_name], name=output_name))
    nodes = _needed(F.nodes, output_name)
    used = set().union(*map(_reads, nodes))
    graph = helper.make_graph(
        nodes,
        "preprocessing",
        [_declare(arriving)],
        [_declare(Value(output_name, leaving.shape, leaving.dtype))],
        [constant for constant in F.initializers if constant.name in used],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="edgeprep"
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _needed(nodes: Sequence[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes that `output` depends on; others were left behind for a better order."""
    wanted, needed = {output}, []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            wanted |= _reads(node)
            needed.append(node)
    return needed[::-1]


def _reads(node: onnx.NodeProto) -> set[str]:
    """What `node` takes, by itself or inside a branch or a loop."""
    inner = (each for attribute in node.attribute for each in attribute.g.node)
    return {*node.input}.union(*map(_reads, inner))


def _declare(value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name, ELEMENT_TYPES[value.dtype], value.shape)
