"""The state of a loop as a checkpoint, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from edgeprep.train.checkpoint import Checkpoint
from edgeprep.train.history import Row
from edgeprep.train.optimizer_state import optimizer_state, restore_optimizer
from edgeprep.train.validation import Verdict

if TYPE_CHECKING:  # which imports this module
    from edgeprep.train.loop import Loop

__all__ = ["restore", "snapshot"]


def snapshot(loop: "Loop") -> Checkpoint:
    """All that `loop` needs to go on from between two steps."""
    tensors, others = optimizer_state(loop.optimizer)
    average = {} if loop.average is None else loop.average.weights
    return Checkpoint(
        tensors={
            **_prefixed("learner", loop.learner.state_dict()),
            **_prefixed("average", average),
            **_prefixed("optimizer", tensors),
        },
        state={
            "epoch": loop.epoch,
            "step": loop.step,
            "loss": loop.loss,
            "seconds": loop.seconds,
            "rows": [row.to_json() for row in loop.rows],
            "verdict": asdict(loop.verdict),
            "optimizer": others,
            "precision": loop.fabric.strategy.precision.state_dict(),
            "threads": loop.threads,
        },
        made_from=loop.made_from,
    )


def restore(loop: "Loop", checkpoint: Checkpoint) -> None:
    """Have `loop` go on from `checkpoint`, as if there had been no end."""
    state = checkpoint.state
    loop.learner.load_state_dict(_without_prefix("learner", checkpoint.tensors))
    if loop.average is not None:
        loop.average.load(_without_prefix("average", checkpoint.tensors))
    kept = _without_prefix("optimizer", checkpoint.tensors)
    restore_optimizer(loop.optimizer, kept, state["optimizer"])
    loop.fabric.strategy.precision.load_state_dict(state["precision"])
    loop.epoch, loop.step = state["epoch"], state["step"]
    loop.loss, loop.seconds = state["loss"], state["seconds"]
    loop.rows = [Row(**row) for row in state["rows"]]
    loop.verdict = Verdict(**state["verdict"])


def _prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _without_prefix(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }
