"""What a network answers, checked before anything is made of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import NonFiniteOutput

__all__ = ["all_finite", "refuse"]


def all_finite(outputs: Sequence[NDArray[Any]]) -> bool:
    """Whether no output holds NaN or infinity."""
    # NOTE: sums tell it in half the time for 10 elements, but take twice as long for 100 000, and
    # warn of, or take for infinite, what is merely large. This is 1.5 µs for 10 or 1000 elements
    # and 10 µs for 100 000, on one core of a server from 2023.
    return all(np.isfinite(output).all() for output in outputs)


def refuse(outputs: Sequence[NDArray[Any]], names: Sequence[str], *, where: str, by: str) -> None:
    """Raise NonFiniteOutput for the first of `outputs` that holds NaN or infinity.

    Args:
        outputs: what a candidate answered; one of them is not finite.
        names: the name of each output.
        where: the session, and the picture among several.
        by: the candidate.
    """
    for name, output in zip(names, outputs, strict=True):
        nan, infinite = int(np.isnan(output).sum()), int(np.isinf(output).sum())
        if nan or infinite:
            raise NonFiniteOutput(
                f"{where}: output {name!r} of {by} must be finite, "
                f"got {nan} NaN and {infinite} infinite of {output.size} numbers; "
                "outputs() gives them as they are, and another prefer= at open tells "
                "whether the network or this candidate is at fault"
            )
