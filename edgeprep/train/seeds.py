"""Chance that depends on the place in a training, and on nothing that came before."""

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

__all__ = ["order_of", "seed_of"]

# Which draws of one seed are meant; `Augment` uses 0 and 1.
_ORDER, _STEP = 2, 3


def order_of(count: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The numbers below `count` in the order of `epoch`."""
    sequence = SeedSequence(seed, spawn_key=(_ORDER, epoch))
    return np.random.default_rng(sequence).permutation(count)


def seed_of(*, seed: int, epoch: int, step: int, rank: int) -> int:
    """For torch's generators in one step of one process."""
    sequence = SeedSequence(seed, spawn_key=(_STEP, epoch, step, rank))
    return int(sequence.generate_state(1, np.uint64)[0])
