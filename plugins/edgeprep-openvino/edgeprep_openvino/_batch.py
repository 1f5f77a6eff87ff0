"""Several pictures a call, of a network that was written for one."""

from math import prod

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from openvino import opset13 as opset

from edgeprep.errors import BackendError
from edgeprep_openvino._reason import reason

__all__ = ["set_batch"]

WHERE = "backend 'openvino'"


def set_batch(network: ov.Model, batch: int) -> ov.Model:
    """`network` with so many pictures in the first axis of its input and its outputs.

    Shapes that say that there is one picture follow from the rest then, and what is put beside it,
    such as a class token, is put beside each. Whether the numbers are right for several pictures is
    for golden samples to say: moving an axis of 1 may have been written as a change of shape, which
    it is for one picture alone.

    Raises:
        BackendError: the network takes what is not one picture, or cannot take several.
    """
    rule = f"the network must take {batch} pictures"
    taken = [tuple(port.shape) for port in network.inputs]
    if len(taken) > 1 or taken[0][0] != 1:
        said = "it remembers" if len(taken) > 1 else "a call takes several as it is"
        raise BackendError(f"{WHERE}: {rule}, got inputs of shape {taken!r}; {said}")
    wanted = [(batch * port.shape[0], *port.shape[1:]) for port in network.outputs]
    shape = [batch, *taken[0][1:]]
    changed = network.clone()
    try:
        _Pictures(changed)
        changed.reshape(shape)
    except RuntimeError as error:
        raise BackendError(f"{WHERE}: {rule}, got {reason(error)!r}") from error
    found = [tuple(port.shape) for port in changed.outputs]
    if found != wanted:
        raise BackendError(
            f"{WHERE}: outputs of {batch} pictures must be {wanted!r}, got {found!r}"
        )
    return changed


class _Pictures:
    """Where in the values of `network` pictures lie; what says that there is one, is changed.

    They are followed as far as that is clear; the rest is left as it is.
    """

    def __init__(self, network: ov.Model) -> None:
        self._parameter = network.get_parameters()[0]
        # By value, the axis that is theirs or that they share, and whether they are its inner part.
        self._axes: dict[ov.Node, tuple[int, bool]] = {self._parameter: (0, False)}
        all(self._follow(node) for node in network.get_ordered_ops())  # up to the first that is not

    def _follow(self, node: ov.Node) -> bool:
        """Whether it is clear where pictures lie in what `node` gives."""
        sources = [port.get_node() for port in node.input_values()]
        taken = [source for source in sources if source in self._axes]
        if not taken or node.get_type_name() == "ShapeOf":
            return True
        if node.get_output_size() > 1 and node.get_type_name() not in ("Split", "VariadicSplit"):
            return False
        ways = {self._way(node, source, *self._axes[source]) for source in taken}
        way = ways.pop()
        if ways or way is None:
            return False
        if node.get_type_name() == "Concat" and not self._expand(node, sources, way[0]):
            return False
        self._axes[node] = way
        return True

    def _way(
        self, node: ov.Node, source: ov.Node, axis: int, inner: bool
    ) -> tuple[int, bool] | None:
        """Where the pictures of `source` are in what `node` gives; None where that is not clear."""
        before, after = source.output(0).shape, node.output(0).shape
        match node.get_type_name():
            case "Transpose":
                return _constant(node, 1).index(axis), inner
            case "Reshape" if source is node.input_value(0).get_node():
                return self._reshape(node, prod([*before][: axis + inner]), [*after])
            case "Unsqueeze":
                new = {one % len(after) for one in _constant(node, 1)}
                return [place for place in range(len(after)) if place not in new][axis], inner
            case "Squeeze" | "Gather" | "ReduceMean" | "ReduceSum" | "ReduceMax" as kind:
                # Gather's axis is behind its indices.
                gone = [one % len(before) for one in _constant(node, 2 if kind == "Gather" else 1)]
                if axis in gone:
                    return None
                if len(before) == len(after):
                    return axis, inner
                if kind == "Gather" and len(before) != len(after) + 1:
                    return None
                return axis - sum(one < axis for one in gone), inner
        moved = axis + len(after) - len(before)  # as shapes broadcast: from the right
        return (moved, inner) if moved >= 0 else None

    def _reshape(self, node: ov.Node, outside: int, after: list[int]) -> tuple[int, bool] | None:
        places = [place for place in range(len(after)) if prod(after[:place]) == outside]
        if not places:
            return None
        place = places[0]
        # The last axis is that of channels, which layers fix: pictures share the one before it.
        inner = place == len(after) - 1 > 0 and after[place] > 1
        place -= inner
        shape = np.array([*after[:place], -1, *after[place + 1 :]], np.int64)
        node.input(1).replace_source_output(opset.constant(shape).output(0))
        return place, inner

    def _expand(self, node: ov.Node, sources: list[ov.Node], axis: int) -> bool:
        """Whether what is put beside a picture, such as a class token, is put beside each now."""
        if node.get_attributes()["axis"] % len(node.output(0).shape) == axis:
            return False
        for place, source in enumerate(sources):
            if source in self._axes:
                continue
            shape = [*node.input_value(place).shape]
            if shape[axis] != 1:
                return False
            first = np.array([0], np.int64)
            taken = opset.shape_of(self._parameter.output(0))
            count = opset.gather(taken, first, np.array(0, np.int64))
            ends = (np.array(shape[:axis], np.int64), np.array(shape[axis + 1 :], np.int64))
            wanted = opset.concat([ends[0], count, ends[1]], 0)
            each = opset.broadcast(node.input_value(place), wanted)
            node.input(place).replace_source_output(each.output(0))
        return True


def _constant(node: ov.Node, place: int) -> list[int]:
    """What is known of an input; RuntimeError where it is not."""
    values: list[int] = node.input_value(place).get_node().get_data().ravel().tolist()
    return values
