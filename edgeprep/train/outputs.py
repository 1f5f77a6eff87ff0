"""What networks return, as named tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import torch

from edgeprep.errors import RecipeError
from edgeprep.schema.foreign import name_fault
from edgeprep.tensors import DType, TensorSpec

__all__ = ["Chosen", "flatten_outputs", "trace_outputs"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A forward hook: of all that a network returns, the outputs that `model.outputs` names.

    Attributes:
        names: keys of a mapping, or attributes, such as dataclasses have.
    """

    names: tuple[str, ...]

    def __call__(self, network: torch.nn.Module, taken: object, outputs: object) -> object:
        """The outputs called `names`, in this order.

        Raises:
            RecipeError: there is none of a name.
        """
        if isinstance(outputs, Mapping):
            given = dict(outputs)
        else:
            given = dict(getattr(outputs, "__dict__", {}))
        chosen = {}
        for index, name in enumerate(self.names):
            if given.get(name) is None:
                known = ", ".join(repr(key) for key, value in given.items() if value is not None)
                got = f"one with {known}" if known else type(outputs).__name__
                raise RecipeError(
                    f"model.outputs[{index}]: the network must return an output {name!r}, got {got}"
                )
            chosen[name] = given[name]
        return chosen


def flatten_outputs(outputs: object) -> dict[str, torch.Tensor]:
    """The tensors that a network returned, by name: a tensor, a sequence, or a mapping of them.

    Raises:
        RecipeError: something else came back.
    """
    if isinstance(outputs, torch.Tensor):
        return {"output": outputs}
    if isinstance(outputs, Mapping):
        named = {str(name): value for name, value in outputs.items()}
    elif isinstance(outputs, list | tuple):
        named = {f"output_{index}": value for index, value in enumerate(outputs)}
    else:
        named = {}
    if not named or not all(isinstance(value, torch.Tensor) for value in named.values()):
        raise RecipeError(
            "model.factory: the network must return a tensor, or a sequence or mapping of tensors, "
            f"got {type(outputs).__name__!r}"
        )
    return named


def trace_outputs(
    network: torch.nn.Module, taken: TensorSpec, states: Sequence[TensorSpec] = ()
) -> tuple[TensorSpec, ...]:
    """The outputs of `network`, found out by running it once; the new states are the last.

    Args:
        network: in eval mode.
        taken: what it takes.
        states: what it takes after that.

    Raises:
        RecipeError: it cannot take that, or returns no tensors, or no new states.
    """
    example = (torch.zeros(taken.shape), *(torch.zeros(state.shape) for state in states))
    beside = "".join(f", and {state.name} {state.shape}" for state in states)
    try:
        with torch.inference_mode():
            outputs = network(*example)
    except RecipeError:  # of `model.outputs`
        raise
    except (Exception, SystemExit) as error:  # the user's forward may raise anything
        raise RecipeError(
            f"model.factory: the network must take {taken.dtype} {taken.shape}, which is what the "
            f"preprocessing gives{beside}, got {name_fault(error)}"
        ) from error
    given = tuple(
        TensorSpec(name=name, shape=tuple(value.shape), dtype=_dtype(name, value))
        for name, value in flatten_outputs(outputs).items()
    )
    return _named(given, states) if states else given


def _named(given: tuple[TensorSpec, ...], states: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """`given` with the names of the new states, which are the last of them."""
    count = len(given) - len(states)
    if count < 1:
        rule = f"the network must return an output and after it the {len(states)} new states"
        raise RecipeError(f"model.state: {rule}, got {len(given)} tensors")
    answers, new = given[:count], given[count:]
    for index, (state, got) in enumerate(zip(states, new, strict=True)):
        if (got.shape, got.dtype) != (state.shape, state.dtype):
            rule = f"the network must return {state.name!r} anew as {state.dtype} {state.shape}"
            raise RecipeError(f"model.state[{index}]: {rule}, got {got.dtype} {got.shape}")
    # In graphs, states are beside answers.
    taken = {answer.name for answer in answers}
    for index, state in enumerate(states):
        if clash := sorted(taken & {state.name, f"next_{state.name}"}):
            rule = f"must leave {clash[0]!r} to the output that the network calls so"
            raise RecipeError(f"model.state[{index}].name: {rule}, got {state.name!r}")
    # A network with one answer names it as one without states does.
    first = [msgspec.structs.replace(answers[0], name="output")] if _is_plain(answers) else answers
    named = [
        msgspec.structs.replace(got, name=f"next_{state.name}")
        for state, got in zip(states, new, strict=True)
    ]
    return (*first, *named)


def _is_plain(answers: tuple[TensorSpec, ...]) -> bool:
    return [answer.name for answer in answers] == ["output_0"]


def _dtype(name: str, value: torch.Tensor) -> DType:
    dtypes: dict[torch.dtype, DType] = {
        torch.float32: "float32",
        torch.int64: "int64",
        torch.int32: "int32",
        torch.uint8: "uint8",
    }
    if value.dtype not in dtypes:
        raise RecipeError(
            f"model.factory: output {name!r} must be float32, int64, int32 or uint8, "
            f"got {value.dtype}"
        )
    return dtypes[value.dtype]
