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
from edgeprep.train.files import WEIGHTS
from edgeprep.train.published import renamed

__all__ = ["check_finite", "fits", "load_weights", "put_weights", "read_weights"]

_NAMED = 5  # so many keys are named in a message; the rest are counted
_REMEDY = "load what this network was saved to, or have the factory make the one that it is of"


def load_weights(network: torch.nn.Module, name: str, directory: Path) -> None:
    """Fill `network` from a state dict: safetensors, or torch's own with `weights_only=True`.

    Args:
        network: whose weights they are to become.
        name: of the file, as `model.weights` has it: relative to `directory`.
        directory: of the recipe.

    Raises:
        CheckpointError: the file is missing, not such a file, or does not fit exactly.
    """
    where = "model.weights"
    put_weights(network, read_weights(name, directory, where), name, where)


def put_weights(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str, where: str
) -> None:
    """Fill `network` from `state`, which came from the file that the recipe calls `name`.

    Raises:
        CheckpointError: it does not fit exactly.
    """
    problems = _problems(network, state)
    if problems and (known := renamed(network, state)) is not None:
        state, problems = known, _problems(network, known)
    if problems:
        raise CheckpointError(
            f"{where}: {name!r} must fit the network, got keys {'; '.join(problems)}; "
            f"{_remedy(network, state, name, where)}"
        )
    network.load_state_dict(state)


def _remedy(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str, where: str
) -> str:
    if any(key.startswith("learner.network.") for key in state):
        weights = str(Path(name).with_name(WEIGHTS))
        return f"this is the checkpoint of a training, whose weights are in {weights!r}"
    if where == "train.weights" and state.keys() == network.state_dict().keys():
        return f"{_REMEDY}; for other classes, [model.head] makes the last layer anew"
    return _REMEDY


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


def read_weights(name: str, directory: Path, where: str) -> Mapping[str, torch.Tensor]:
    """The tensors in the file `name` in `directory`, by their names.

    Raises:
        CheckpointError: it is missing, or no such file; the message begins with `where`.
    """
    path = directory / name
    if not path.is_file():
        raise CheckpointError(f"{where}: must be a file, got {name!r}; looked for {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            # Said of pickles that are refused in the next moment.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{where}: {name!r} must hold tensors only, got a pickle that names other "
            "things; save network.state_dict(), best as safetensors"
        ) from error
    except Exception as error:  # both readers let out errors of many kinds on damaged files
        raise CheckpointError(
            f"{where}: {name!r} must be a safetensors file or a state dict saved by "
            f"torch, got {name_fault(error)}"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise CheckpointError(
            f"{where}: {name!r} must be a state dict of tensors, got {type(state).__name__!r}; "
            "save network.state_dict(), best as safetensors"
        )
    return state


def _list(what: str, keys: Sequence[str]) -> list[str]:
    return [f"{what}: {name_first(_NAMED, keys, quoted=False)}"] if keys else []


def check_finite(network: torch.nn.Module, where: str) -> None:
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
