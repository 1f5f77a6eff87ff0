"""How many pictures a call takes, left open in a graph that torch has exported for one."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
    shape_inference,
)

from edgeprep_onnx._marks import BATCH

__all__ = ["free_batch"]

Shape = tuple[int, ...]

# What a graph is tried with, to see that all shapes still fit together: more than one picture, and
# not a number that a network may have by itself.
_TRIED = 13
# Initializers up to here may be shapes, axes and the like; of others, shape inference needs no more
# than their shape.
_SMALL = 1024
_PREFIX = "batch/"


class _FixedError(Exception):
    """A graph that computes one picture and no more; the message says where."""


def free_batch(model: ModelProto) -> str | None:
    """Leave the first axis of `model` open; None, or the reason why it is left as it is.

    torch writes the shapes that it has seen into the graph, such as the 1 of one picture. Where
    it is known on which axis of a value pictures lie, such a 1 is made to follow from the rest.
    Whether the numbers are right for several pictures is for golden samples to say.

    Args:
        model: takes one picture in its only input, and gives its outputs with a first axis of 1.
            Its nodes are in order.
    """
    try:
        edits = _Edits(model.graph, _infer(_skeleton(model, [])))
        shapes = _infer(_skeleton(model, edits.nodes, edits.constants, pictures=_TRIED))
        for output in model.graph.output:
            one, several = edits.shapes[output.name], shapes.get(output.name, ())
            if one[0] != 1:
                _fix(f"output {output.name!r} has {one[0]} rows of one picture")
            if several != (_TRIED, *one[1:]):
                _fix(f"output {output.name!r} does not grow with the pictures")
    except _FixedError as reason:
        return str(reason)
    except Exception as error:  # noqa: BLE001 -- shape inference is C++ and raises in many ways
        return " ".join(str(error).split())[:200]
    del model.graph.node[:]
    model.graph.node.extend(edits.nodes)
    model.graph.initializer.extend(edits.constants)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return None


class _Edits:
    """The nodes of `graph` with no shape that says how many pictures there are.

    Args:
        graph: of one picture.
        shapes: of all values in it.

    Raises:
        _FixedError: pictures get mixed, or it is not known where they are.
    """

    def __init__(self, graph: GraphProto, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._known = _constants(graph)
        self._image = graph.input[0].name
        # By value, the axis on which pictures lie: alone, or outermost in what they share it with.
        self._axes = {self._image: 0}
        # Those on whose axis pictures are innermost.
        self._inner: set[str] = set()
        for node in graph.node:
            copy = NodeProto()
            copy.CopyFrom(node)
            if node.op_type != "Shape" and any(name in self._axes for name in node.input):
                self._follow(copy)
            self.nodes.append(copy)

    def _follow(self, node: NodeProto) -> None:
        if any(attribute.HasField("g") for attribute in node.attribute):
            _fix(f"{_name(node)} has a graph of its own")
        for name in (*filter(None, node.input), *filter(None, node.output)):
            if name not in self.shapes:
                _fix(f"{_name(node)}: the shape of {name!r} is not known")
        found = {
            self._axis(node, name, self._axes[name]) for name in node.input if name in self._axes
        }
        taken = [name for name in node.input if name in self._axes]
        inner = {name in self._inner for name in taken}
        if len(found) != 1 or len(inner) != 1:
            _fix(f"{_name(node)} mixes axes of pictures")
        (axis,) = found
        # What changes the node is done once, however many of its inputs hold pictures.
        if node.op_type == "Concat":
            self._expand_constants(node, axis)
        elif node.op_type == "Resize" and len(node.input) > 3:
            self._resize_others(node, axis, self.shapes[node.output[0]])
        for output in filter(None, node.output):
            self._axes[output] = axis
            if inner == {True} and node.op_type != "Reshape":
                self._inner.add(output)

    def _axis(self, node: NodeProto, name: str, axis: int) -> int:
        """Where the pictures of its input `name`, which lie on `axis`, are in what `node` gives."""
        before, after = self.shapes[name], self.shapes[node.output[0]]
        match node.op_type:
            case "Transpose":
                return list(_attribute(node, "perm")).index(axis)
            case "Reshape":
                return self._reshape(node, axis, before, after)
            case "Flatten":
                return 0 if axis == 0 else _fix(f"{_name(node)} merges pictures")
            case "Squeeze" | "Unsqueeze" | "Gather" | "ArgMax" | "ArgMin":
                return self._renumber(node, axis, before, after)
            case _ if node.op_type.startswith("Reduce"):
                return self._renumber(node, axis, before, after)
        moved = axis + len(after) - len(before)  # as shapes broadcast: from the right
        return moved if moved >= 0 else _fix(f"{_name(node)} drops the axis of pictures")

    def _reshape(self, node: NodeProto, axis: int, before: Shape, after: Shape) -> int:
        outside = prod(before[: axis + (node.input[0] in self._inner)])
        places = [place for place in range(len(after)) if prod(after[:place]) == outside]
        if not places:
            _fix(f"{_name(node)} puts pictures inside of other axes")
        place = places[0]
        # The last axis is that of channels, which layers fix: pictures share the one before it.
        if place == len(after) - 1 > 0 and after[place] > 1:
            place -= 1
            self._inner.add(node.output[0])
        self._replace(node, 1, np.array([*after[:place], -1, *after[place + 1 :]]))
        return place

    def _renumber(self, node: NodeProto, axis: int, before: Shape, after: Shape) -> int:
        """Where `axis` is after others went or came."""
        if node.op_type == "Gather":
            gone = [_attribute(node, "axis", 0) % len(before)]
            if axis in gone or node.input[0] not in self._axes:
                _fix(f"{_name(node)} chooses among pictures")
            return axis if axis < gone[0] else axis + len(after) - len(before)
        axes = self._known.get(node.input[1]) if len(node.input) > 1 else None
        listed = _attribute(node, "axes", None) if axes is None else axes.ravel().tolist()
        if node.op_type in ("ArgMax", "ArgMin"):
            listed = [_attribute(node, "axis", 0)]
        if listed is None:
            _fix(f"{_name(node)} does not say which axes")
        if node.op_type == "Unsqueeze":
            new = {one % len(after) for one in listed}
            return [place for place in range(len(after)) if place not in new][axis]
        gone = [one % len(before) for one in listed]
        if axis in gone:
            _fix(f"{_name(node)} merges pictures")
        return axis if len(after) == len(before) else axis - sum(one < axis for one in gone)

    def _expand_constants(self, node: NodeProto, axis: int) -> None:
        """Give what is put beside each picture, such as a class token, to all of them."""
        if _attribute(node, "axis") % len(self.shapes[node.output[0]]) == axis:
            _fix(f"{_name(node)} puts pictures in a row")
        for place, name in enumerate(node.input):
            if name in self._axes:
                continue
            shape = self.shapes[name]
            if shape[axis] != 1:
                _fix(f"{_name(node)} joins what is not of one picture")
            stem = f"{_PREFIX}{len(self.nodes)}.{place}"
            ones = [self._constant(f"{stem}/{end}", size) for end, size in self._ends(shape, axis)]
            self.nodes += [
                helper.make_node(
                    "Shape", [self._image], [f"{stem}/count"], f"{stem}/count", start=0, end=1
                ),
                helper.make_node(
                    "Concat",
                    [ones[0], f"{stem}/count", ones[1]],
                    [f"{stem}/shape"],
                    f"{stem}/shape",
                    axis=0,
                ),
                helper.make_node("Expand", [name, f"{stem}/shape"], [stem], stem),
            ]
            node.input[place] = stem

    def _resize_others(self, node: NodeProto, axis: int, after: Shape) -> None:
        """Let sizes be those of the axes without pictures."""
        if _attribute(node, "axes", None) is not None:
            return
        others = [place for place in range(len(after)) if place != axis]
        node.attribute.append(helper.make_attribute("axes", others))
        self._replace(node, 3, np.array([after[place] for place in others]))

    def _ends(self, shape: Shape, axis: int) -> Iterable[tuple[str, NDArray[np.int64]]]:
        yield "before", np.ones(axis, np.int64)
        yield "behind", np.ones(len(shape) - axis - 1, np.int64)

    def _replace(self, node: NodeProto, place: int, value: NDArray[np.int64]) -> None:
        name = f"{_PREFIX}{len(self.nodes)}.{place}"
        node.input[place] = self._constant(name, value)

    def _constant(self, name: str, value: NDArray[np.int64]) -> str:
        self.constants.append(numpy_helper.from_array(value.astype(np.int64), name))
        return name


def _skeleton(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    constants: Sequence[TensorProto] = (),
    pictures: int = 1,
) -> ModelProto:
    """`model` without its weights, which are inputs of their shape; with `nodes` if there are."""
    graph = GraphProto(name="shapes")
    graph.node.extend(nodes or model.graph.node)
    graph.input.extend(model.graph.input)
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = pictures
    for value in model.graph.output:
        kind = value.type.tensor_type.elem_type
        graph.output.append(helper.make_tensor_value_info(value.name, kind, None))
    graph.initializer.extend(constants)
    for weights in model.graph.initializer:
        if prod(weights.dims) <= _SMALL:
            graph.initializer.append(weights)
        else:
            graph.input.append(
                helper.make_tensor_value_info(weights.name, weights.data_type, weights.dims)
            )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _infer(model: ModelProto) -> Mapping[str, Shape]:
    """The shape of each value of which it is known."""
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {weights.name: tuple(weights.dims) for weights in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim):
            shapes[value.name] = tuple(axis.dim_value for axis in kind.shape.dim)
    return shapes


def _constants(graph: GraphProto) -> Mapping[str, NDArray[np.int64]]:
    """Small constants by name; axes are among them."""
    found = {
        each.name: numpy_helper.to_array(each)
        for each in graph.initializer
        if prod(each.dims) <= _SMALL
    }
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _attribute(node: NodeProto, name: str, *default: object) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    if default:
        return default[0]
    return _fix(f"{_name(node)} does not say its {name!r}")


def _name(node: NodeProto) -> str:
    return f"{node.op_type} {node.name!r}"


def _fix(reason: str) -> NoReturn:
    raise _FixedError(reason)
