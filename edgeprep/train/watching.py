"""How a training tells how far it is, without knowing who listens."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Tick", "Watch", "unwatched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One step is done.

    Attributes:
        epoch: from 1.
        epochs: how many there are.
        step: of this epoch, from 1.
        steps: of each epoch.
        loss: of this step.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float


class Watch(Protocol):
    """Is called after every step."""

    def __call__(self, tick: Tick) -> None:
        """`tick` has just happened."""
        ...


def unwatched(tick: Tick) -> None:
    """A watch that nobody keeps."""
