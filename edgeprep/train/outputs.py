"""What networks return, as named tensors."""

from collections.abc import Mapping

import torch

from edgeprep.errors import RecipeError

__all__ = ["flatten_outputs"]


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
