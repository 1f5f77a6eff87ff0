"""How networks learn: what `edgeprep train` and compression steps that fine-tune are told."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

__all__ = ["TrainTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainTable:
    """`[train]`: the loop that training, distillation and fine-tuning share.

    Attributes:
        epochs: how often the training data are gone through.
        batch: how many pictures make one step.
        seed: of all that is random.
    """

    epochs: Annotated[int, Meta(ge=1)] = 30
    batch: Annotated[int, Meta(ge=1)] = 64
    seed: Annotated[int, Meta(ge=0)] = 0
