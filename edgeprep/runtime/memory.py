"""Networks that remember: what they are given, and what they give."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.tensors import TensorSpec

__all__ = ["answer", "zeros"]

Arrays = tuple[NDArray[Any], ...]


def zeros(states: Sequence[TensorSpec]) -> Arrays:
    """What a network has in its states before the first picture."""
    return tuple(np.zeros(state.shape, state.dtype) for state in states)


def answer(
    run: Callable[[Arrays], Arrays], sample: NDArray[np.uint8], states: Sequence[TensorSpec] = ()
) -> Arrays:
    """The outputs for one sample.

    Args:
        run: gives a graph's outputs for its inputs.
        sample: one graph input; or where there are states a clip, `(frames, H, W, C)`, of which
            the last frame's result counts.
        states: those of the graph; the clip begins with zeros.

    Returns:
        The outputs without the new states.
    """
    if not states:
        return run((sample,))
    now, outputs = zeros(states), Arrays()
    for index in range(len(sample)):
        outputs = run((sample[index : index + 1], *now))
        now = outputs[-len(states) :]
    return outputs[: -len(states)]
