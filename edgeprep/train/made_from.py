"""What a training starts from, as digests: a checkpoint goes on only from the same."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edgeprep.interfaces import FileStage
from edgeprep.recipe import TrainTable
from edgeprep.train.code_beside import code_beside
from edgeprep.train.digests import digest_files, digest_tensors, structure_of
from edgeprep.truths import content_of
from edgeprep.version import __version__

if TYPE_CHECKING:  # which imports this module
    from edgeprep.train.data import TrainingData
    from edgeprep.train.training import Training

__all__ = ["differences", "digests_of", "other_settings"]

_SETTINGS = "settings"
# What changes how quickly a result comes, or where it is computed, and not what it is.
_NEUTRAL = frozenset(
    {"save_minutes", "workers", "threads", "accelerator", "devices", "nodes", "strategy"}
)


def digests_of(training: "Training") -> dict[str, str]:
    """One digest for each thing that a user may have changed; the settings as JSON."""
    directory = training.data.training.directory
    return {
        # As they are, so that a message can name those that differ.
        _SETTINGS: _of_settings(training.settings, training.epochs, training.learning_rate),
        "data": _of_data(training.data),
        "weights": digest_tensors(training.network.state_dict()),
        "network": _digest([structure_of(training.network).encode()]),
        # What a factory and a network's methods do is in no other digest.
        "code beside the recipe": digest_files(code_beside(directory)),
        "task": _digest([structure_of(training.data.task).encode()]),
        "objective": _of_objective(training),
        "versions of torch and edgeprep": _of_program(),
    }


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """What differs, for people: "settings (train.seed 0 -> 1) and data"; "" where nothing does."""
    found = [name for name in other if one.get(name) != other[name]]
    return " and ".join(
        f"{name} ({_changes(one[name], other[name])})" if name == _SETTINGS else name
        for name in found
    )


def other_settings(one: Mapping[str, str], settings: TrainTable) -> str:
    """What differs in the settings of a training of a recipe: "train.seed 0 -> 1"; or ""."""
    return _changes(one[_SETTINGS], _of_settings(settings, settings.epochs, settings.learning_rate))


def _changes(one: str, other: str) -> str:
    before, after = json.loads(one), json.loads(other)
    return ", ".join(
        f"train.{key} {_show(before.get(key))} -> {_show(value)}"
        for key, value in after.items()
        # As text, for the order of `rates` counts.
        if json.dumps(before.get(key)) != json.dumps(value)
    )


def _show(value: object) -> str:
    return "absent" if value is None else repr(value)


def _of_settings(settings: TrainTable, epochs: int, rate: float) -> str:
    used = {**asdict(settings), "learning_rate": rate}
    if epochs != settings.epochs:
        # A pass has fewer, and a share of the warm-up.
        used["epochs"] = settings.epochs, epochs
    return json.dumps({name: value for name, value in used.items() if name not in _NEUTRAL})


def _of_data(data: "TrainingData") -> str:
    stages = data.augment.stages if data.augment is not None else ()
    tables, files = data.plain.packed()
    said = [
        repr((stages, tables, data.fps)),
        repr(data.metric and data.metric.name),
    ]
    held_out: tuple[bytes, ...] = ()
    if data.held_out is not None:
        held_out = (*data.held_out.digests, *map(content_of, data.held_out.labels))
    learned = (*data.supply.digests, *map(content_of, data.supply.labels))
    files += tuple(stage.content for stage in stages if isinstance(stage, FileStage))
    return _digest([*map(str.encode, said), *files, *learned, b"held out", *held_out])


def _of_objective(training: "Training") -> str:
    kind = type(training.objective)
    # Shapes alone: what learns beside the network may start from chance, and is restored.
    shapes = [
        f"{name} {tuple(value.shape)}"
        for module in training.objective.modules()
        for name, value in module.state_dict().items()
    ]
    return _digest([repr((kind.__name__, shapes)).encode()])


@cache
def _of_program() -> str:
    """Another loop, or another torch, comes to other weights."""
    code = digest_files(sorted(Path(__file__).parent.glob("*.py")))
    return _digest([torch.__version__.encode(), __version__.encode(), code.encode()])


def _digest(parts: Iterable[bytes]) -> str:
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
