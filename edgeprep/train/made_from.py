"""What a training starts from, as digests: a checkpoint goes on only from the same."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING

import torch

from edgeprep.recipe import TrainTable

if TYPE_CHECKING:  # which imports this module
    from edgeprep.train.training import Training

__all__ = ["differences", "digests_of"]

# What changes how quickly a result comes, or where it is computed, and not what it is.
_NEUTRAL = frozenset(
    {"save_minutes", "workers", "threads", "accelerator", "devices", "nodes", "strategy"}
)


def digests_of(training: "Training") -> dict[str, str]:
    """One digest for each thing that a user may have changed."""
    return {
        "settings": _of_settings(training.settings, training.epochs, training.learning_rate),
        "data": _of_data(training),
        "weights": _of_tensors(training.network.state_dict()),
        "objective": _of_objective(training),
    }


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """What differs, for people: "settings and data"; "" where nothing does."""
    return " and ".join(name for name in other if one.get(name) != other[name])


def _of_settings(settings: TrainTable, epochs: int, rate: float) -> str:
    known = {name: value for name, value in asdict(settings).items() if name not in _NEUTRAL}
    return _digest([json.dumps([known, epochs, rate], sort_keys=True).encode()])


def _of_data(training: "Training") -> str:
    data = training.data
    stages = data.augment.stages if data.augment is not None else ()
    said = [
        repr((stages, data.plain.to_tables())),
        repr(data.metric and data.metric.name),
        repr(data.supply.labels),
        repr(None if data.held_out is None else data.held_out.labels),
    ]
    held_out = () if data.held_out is None else data.held_out.digests
    return _digest([*map(str.encode, said), *data.supply.digests, b"held out", *held_out])


def _of_objective(training: "Training") -> str:
    kind = type(training.objective)
    # Shapes alone: what learns beside the network may start from chance, and is restored.
    shapes = [
        f"{name} {tuple(value.shape)}"
        for module in training.objective.modules()
        for name, value in module.state_dict().items()
    ]
    return _digest([repr((kind.__name__, shapes)).encode()])


def _of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    return _digest(
        part
        for name, value in sorted(tensors.items())
        for part in (
            f"{name} {value.dtype} {tuple(value.shape)}".encode(),
            value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
    )


def _digest(parts: Iterable[bytes]) -> str:
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
