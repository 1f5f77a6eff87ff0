"""What networks return, as named tensors."""

from collections.abc import Mapping

import torch

from edgeprep.errors import RecipeError
from edgeprep.schema.foreign import name_fault
from edgeprep.tensors import DType, TensorSpec

__all__ = ["flatten_outputs", "trace_outputs"]


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


def trace_outputs(network: torch.nn.Module, taken: TensorSpec) -> tuple[TensorSpec, ...]:
    """The outputs of `network`, found out by running it once.

    Args:
        network: in eval mode.
        taken: what it takes.

    Raises:
        RecipeError: it cannot take that, or returns no tensors.
    """
    example = torch.zeros(taken.shape)
    try:
        with torch.inference_mode():
            outputs = network(example)
    except (Exception, SystemExit) as error:  # the user's forward may raise anything
        raise RecipeError(
            f"model.factory: the network must take {taken.dtype} {taken.shape}, which is what the "
            f"preprocessing gives, got {name_fault(error)}"
        ) from error
    return tuple(
        TensorSpec(name=name, shape=tuple(value.shape), dtype=_dtype(name, value))
        for name, value in flatten_outputs(outputs).items()
    )


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
