"""Files of weights: state dicts that hold tensors and nothing else."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 -- the exception alone, to refuse what raises it

import safetensors.torch
import torch

from edgeprep.errors import CheckpointError
from edgeprep.schema import name_first
from edgeprep.schema.foreign import name_fault

__all__ = ["check_finite", "fits", "load_weights", "put_weights", "read_weights"]

_NAMED = 5  # so many keys are named in a message; the rest are counted


def load_weights(network: torch.nn.Module, path: Path, where: str = "model.weights") -> None:
    """Fill `network` from a state dict: safetensors, or torch's own with `weights_only=True`.

    Raises:
        CheckpointError: the file is missing, not such a file, or does not fit exactly; the message
            begins with `where`.
    """
    put_weights(network, read_weights(path, where), path, where)


def put_weights(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, where: str
) -> None:
    """Fill `network` from `state`, which came from `path`.

    Raises:
        CheckpointError: it does not fit exactly.
    """
    if problems := _problems(network, state):
        raise CheckpointError(
            f"{where}: {path.name!r} must fit the network, got keys {'; '.join(problems)}"
        )
    network.load_state_dict(state)


def fits(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> bool:
    """Whether `state` has all weights of `network`, and no others."""
    return not _problems(network, state)


def _problems(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> list[str]:
    wanted = network.state_dict()
    return [
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


def read_weights(path: Path, where: str = "model.weights") -> Mapping[str, torch.Tensor]:
    """The tensors in the file at `path`, by name.

    Raises:
        CheckpointError: it is missing, or no such file; the message begins with `where`.
    """
    if not path.is_file():
        raise CheckpointError(f"{where}: must be a file, got {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            # Said of pickles that are refused in the next moment.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{where}: {path.name!r} must hold tensors only, got a pickle that names other "
            "things; save network.state_dict(), best as safetensors"
        ) from error
    except Exception as error:  # both readers let out errors of many kinds on damaged files
        raise CheckpointError(
            f"{where}: {path.name!r} must be a safetensors file or a state dict saved by "
            f"torch, got {name_fault(error)}"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise CheckpointError(
            f"{where}: {path.name!r} must be a state dict of tensors, got {type(state).__name__!r}"
        )
    return state


def _list(what: str, keys: Sequence[str]) -> list[str]:
    return [f"{what}: {name_first(_NAMED, keys, quoted=False)}"] if keys else []


def check_finite(network: torch.nn.Module, where: str = "model.weights") -> None:
    """Refuse a network with NaN or infinity in its weights.

    Raises:
        CheckpointError: it has; the message begins with `where`.
    """
    broken = [
        name
        for name, value in network.state_dict().items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
    if broken:
        raise CheckpointError(
            f"{where}: all values must be finite, got NaN or infinity in "
            f"{_list('tensors', broken)[0]}"
        )
