"""A training under way as one file: safetensors, with the rest as JSON in its metadata.

Nothing in it is code. It appears by atomic rename: what is there is whole, whenever a process ends.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from edgeprep.errors import CheckpointError
from edgeprep.files import atomic_write, open_regular
from edgeprep.train.digests import digest_tensors

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint", "write_weights"]

_FORMAT = "edgeprep-training-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a training needs to go on as if it had never stopped.

    Attributes:
        tensors: the weights, their average and the optimizer's state, each by its own prefix.
        state: the rest, as JSON can say it.
        made_from: what the training started from, as digests by what it is, such as "data".
    """

    tensors: Mapping[str, torch.Tensor]
    state: Mapping[str, Any]
    made_from: Mapping[str, str]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, in the place of the one before.

    Raises:
        StorageError: it cannot be written; the one before is untouched.
    """
    tensors = _plain(checkpoint.tensors)
    metadata = {
        "format": _FORMAT,
        "made_from": json.dumps(checkpoint.made_from),
        "state": json.dumps(checkpoint.state),
        "sha256": digest_tensors(tensors),
    }
    atomic_write(path, [safetensors.torch.save(tensors, metadata)], overwrite=True)


def write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a state dict to `path`, as `[model]` of a recipe reads it.

    Raises:
        StorageError: it cannot be written; what was there is untouched.
    """
    atomic_write(path, [safetensors.torch.save(_plain(weights))], overwrite=True)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`; None where there is none.

    Raises:
        CheckpointError: what is there is no checkpoint of a training, or is damaged; the caller
            knows what helps.
        StorageError: it cannot be read.
    """
    if not path.exists():
        return None
    with open_regular(path) as file:
        content = file.read()
    rule = f"{path}: must be a checkpoint of a training"
    try:
        tensors = safetensors.torch.load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except Exception as error:  # safetensors lets out errors of its own and of Python's
        raise CheckpointError(f"{rule}, got {str(error)!r}") from error
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{rule}, got format {metadata.get('format')!r}")
    if metadata.get("sha256") != digest_tensors(tensors):
        raise CheckpointError(f"{rule}, got bytes that have changed since")
    return Checkpoint(
        tensors=tensors,
        state=json.loads(metadata["state"]),
        made_from=json.loads(metadata["made_from"]),
    )


def _plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    # Each with memory of its own: safetensors refuses tensors that share it, as tied weights do.
    return {
        name: value.detach().cpu().contiguous().clone() for name, value in sorted(tensors.items())
    }
