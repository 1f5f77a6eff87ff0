"""A recipe's network: made by its factory, given its weights, and nothing else run."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 -- the exception alone, to refuse what raises it

import safetensors.torch
import torch

from edgeprep.data.factory import load_factory
from edgeprep.errors import CheckpointError, RecipeError
from edgeprep.recipe import ModelTable
from edgeprep.schema.foreign import name_fault

__all__ = ["load_network", "load_weights"]

_NAMED = 5  # so many keys are named in a message; the rest are counted


def load_network(model: ModelTable, directory: Path) -> torch.nn.Module:
    """The network of a recipe's `[model]`, with its weights, in eval mode.

    Args:
        model: the factory, its arguments and the file of weights.
        directory: where relative paths start.

    Raises:
        RecipeError: the factory cannot be found, raises, or returns no module.
        CheckpointError: the weights cannot be read safely, do not fit, or are not finite.
    """
    factory = load_factory(model.factory, directory, "model.factory")
    try:
        network = factory(**model.arguments)
    # The factory is the user's code, and may raise anything; a script's exit is no success.
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"model.factory: {model.factory!r} must return a torch.nn.Module, "
            f"got {name_fault(error)}"
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise RecipeError(
            f"model.factory: {model.factory!r} must return a torch.nn.Module, "
            f"got {type(network).__name__!r}"
        )
    if model.weights is not None:
        load_weights(network, directory / model.weights)
    _check_finite(network)
    return network.eval().requires_grad_(requires_grad=False)


def load_weights(network: torch.nn.Module, path: Path) -> None:
    """Fill `network` from a state dict: safetensors, or torch's own with `weights_only=True`.

    Raises:
        CheckpointError: the file is missing, not such a file, or does not fit exactly.
    """
    state = _read_state(path)
    wanted = network.state_dict()
    problems = [
        *_list("missing", sorted(wanted.keys() - state.keys())),
        *_list("unexpected", sorted(state.keys() - wanted.keys())),
        *_list(
            "of another shape",
            [
                f"{key} {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
                for key in wanted
                if key in state and state[key].shape != wanted[key].shape
            ],
        ),
    ]
    if problems:
        raise CheckpointError(
            f"model.weights: {path.name!r} must fit the network, got keys {'; '.join(problems)}"
        )
    network.load_state_dict(state)


def _read_state(path: Path) -> Mapping[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointError(f"model.weights: must be a file, got {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            # Said of pickles that are refused in the next moment.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"model.weights: {path.name!r} must hold tensors only, got a pickle that names other "
            "things; save network.state_dict(), best as safetensors"
        ) from error
    except Exception as error:  # both readers let out errors of many kinds on damaged files
        raise CheckpointError(
            f"model.weights: {path.name!r} must be a safetensors file or a state dict saved by "
            f"torch, got {name_fault(error)}"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise CheckpointError(
            f"model.weights: {path.name!r} must be a state dict of tensors, "
            f"got {type(state).__name__!r}"
        )
    return state


def _list(what: str, keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return [f"{what}: {', '.join(keys[:_NAMED])}{more}"]


def _check_finite(network: torch.nn.Module) -> None:
    broken = [
        name
        for name, value in network.state_dict().items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
    if broken:
        raise CheckpointError(
            f"model.weights: all values must be finite, got NaN or infinity in "
            f"{_list('tensors', broken)[0]}"
        )
