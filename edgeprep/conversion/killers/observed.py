"""A network as its single operations, and what occurs in each of them on samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Interpreter, Node

from edgeprep.conversion.killers.seen import ChannelsSeen, Seen
from edgeprep.conversion.silence import without_known_warnings
from edgeprep.errors import ExportError
from edgeprep.schema.foreign import name_fault

__all__ = ["CONVOLUTIONS", "LAYERS", "SAME_VALUES", "Observed", "kind", "observe", "path_of"]

# Operations that multiply by weights: all take (input, weight, bias, …).
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d")
LAYERS = (*CONVOLUTIONS, "linear")
# What leaves is what arrives, or some of it, in another order or shape.
SAME_VALUES = (
    *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"),
    *("permute", "transpose", "t", "movedim", "contiguous", "clone", "alias", "detach"),
    *("slice", "select", "narrow", "expand", "expand_as", "dropout", "to", "_to_copy"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """A network that was watched.

    Attributes:
        program: the network as torch.export sees it: operations of ATen, without Python.
        weights: parameters and buffers, by the name of their node.
        dependent: the names of the nodes that depend on the network's input.
        samples: how many were run. With none, only what does not depend on them was seen.
        seen: what each operation gave, by its name.
        arriving: what each of `LAYERS` took, channel by channel, by its name.
        leaving: what it gave, likewise.
        outputs: all samples of each output, `(samples, …)`.
    """

    program: ExportedProgram
    weights: Mapping[str, torch.Tensor]
    dependent: frozenset[str]
    samples: int
    seen: Mapping[str, Seen]
    arriving: Mapping[str, ChannelsSeen]
    leaving: Mapping[str, ChannelsSeen]
    outputs: tuple[NDArray[np.float64], ...]

    def operations(self, *kinds: str) -> Iterator[Node]:
        """All operations of these kinds, such as "conv2d", in their order."""
        for node in self.program.graph.nodes:
            if kind(node) in kinds:
                yield node

    @property
    def output_nodes(self) -> tuple[Node, ...]:
        """What computes each of the outputs."""
        (nodes,) = self.program.graph.output_node().args
        return tuple(_of_the_user(self.program, nodes))

    def weight(self, layer: Node) -> torch.Tensor | None:
        """The weights of one of `LAYERS`; None where they are computed from the input."""
        node = layer.args[1]
        return self.weights.get(node.name) if isinstance(node, Node) else None


def kind(node: Node) -> str:
    """What `node` does, in place or not, such as "conv2d"; "" for what is no operation of ATen."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return ""
    # What is done in place ends in an underscore, and gives the same values.
    return str(node.target._schema.name).partition("::")[2].removesuffix("_")


def path_of(node: Node) -> str:
    """The module that `node` is in, as `named_modules` spells it; "" for the network itself."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    # NOTE: of a module that is called again, the second call is in `features.act@1`.
    return str(list(stack.values())[-1][0]).partition("@")[0]


def observe(
    network: torch.nn.Module, example: torch.Tensor, samples: Sequence[torch.Tensor]
) -> Observed:
    """Run `network` on `samples`, one after the other, and watch every operation.

    Args:
        network: in eval mode.
        example: a tensor of the shape and type that it takes.
        samples: each such a tensor; () to look at what is constant alone.

    Raises:
        ExportError: torch.export cannot take the network.
    """
    try:
        with without_known_warnings(), torch.no_grad():
            program = torch.export.export(network, (example,), strict=False)
    except Exception as error:  # torch.export lets out errors of every kind
        fault = name_fault(error.__cause__ or error)
        raise ExportError(f"torch.export must take the network, got {fault}") from error
    watch = _Watch(program, record=bool(samples))
    for sample in samples or (example,):
        watch.sample(sample)
    return Observed(
        program=program,
        weights=watch.weights,
        dependent=frozenset(watch.dependent),
        samples=len(samples),
        seen=watch.seen,
        arriving=watch.arriving,
        leaving=watch.leaving,
        outputs=tuple(np.stack(found) for found in zip(*watch.outputs, strict=True)),
    )


def _of_the_user(program: ExportedProgram, outputs: Any) -> list[Any]:
    """What the network returns, of all that a program does, such as new values of buffers."""
    specs = program.graph_signature.output_specs
    pairs = zip(specs, outputs, strict=True)
    return [output for spec, output in pairs if spec.kind == OutputKind.USER_OUTPUT]


class _Watch(Interpreter):
    """Runs a program and notes what occurs.

    Args:
        program: to run.
        record: whether to note what depends on the input, too.
    """

    def __init__(self, program: ExportedProgram, *, record: bool) -> None:
        super().__init__(program.graph_module)
        self._program = program
        self._record = record
        self._specs = program.graph_signature.input_specs
        states = {**program.state_dict, **program.constants}
        self.weights: dict[str, torch.Tensor] = {
            spec.arg.name: states[spec.target].detach()
            for spec in self._specs
            if spec.target is not None and isinstance(states.get(spec.target), torch.Tensor)
        }
        self.dependent = {
            spec.arg.name for spec in self._specs if spec.kind == InputKind.USER_INPUT
        }
        self.seen: dict[str, Seen] = {}
        self.arriving: dict[str, ChannelsSeen] = {}
        self.leaving: dict[str, ChannelsSeen] = {}
        self.outputs: list[tuple[NDArray[np.float64], ...]] = []

    def sample(self, sample: torch.Tensor) -> None:
        """Run one sample."""
        arguments = [self.weights.get(spec.arg.name, sample) for spec in self._specs]
        with torch.no_grad():
            results = self.run(*arguments)
        if self._record:
            outputs = _of_the_user(self._program, results)
            self.outputs.append(tuple(output.double().numpy() for output in outputs))

    def run_node(self, node: Node) -> Any:
        """See `Interpreter.run_node`."""
        if any(taken.name in self.dependent for taken in node.all_input_nodes):
            self.dependent.add(node.name)
        result = super().run_node(node)
        if not isinstance(result, torch.Tensor) or not result.is_floating_point():
            return result
        if node.name in self.dependent and not self._record:
            return result
        if node.name not in self.dependent and node.name in self.seen:
            return result
        self.seen.setdefault(node.name, Seen()).add(result)
        if node.name in self.dependent and kind(node) in LAYERS:
            axis = -1 if kind(node) == "linear" else 1
            (taken,) = self.fetch_args_kwargs_from_env(node)[0][:1]
            self.arriving.setdefault(node.name, ChannelsSeen(axis)).add(taken)
            self.leaving.setdefault(node.name, ChannelsSeen(axis)).add(result)
        return result
