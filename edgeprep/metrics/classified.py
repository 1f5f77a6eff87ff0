"""What metrics of classes need of a result."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import NonFiniteOutput

__all__ = ["Classified", "Scored", "WithScores", "stack_scores"]


class Classified(Protocol):
    """A result that names one class by its number."""

    @property
    def index(self) -> int:
        """The number of the class."""


class WithScores(Protocol):
    """A result that has a score for every class."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """`(classes,)`."""


class Scored(Classified, WithScores, Protocol):
    """A result that has a score for every class, and an order of them."""

    @property
    def ranking(self) -> NDArray[np.int64]:
        """The numbers of all classes, `(classes,)`, the best first."""


def stack_scores(metric: str, predictions: Sequence[WithScores]) -> NDArray[np.float64]:
    """The scores of all predictions: `(samples, classes)`.

    Args:
        metric: what they are for; messages begin with it.
        predictions: at least one.

    Raises:
        NonFiniteOutput: a score is NaN or infinite, and has no place in an order.
    """
    scores = np.stack([prediction.scores for prediction in predictions])
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if broken.size:
        raise NonFiniteOutput(
            f"{metric}: all scores must be finite, got NaN or infinity for {broken.size} of "
            f"{len(scores)} samples, the first is sample {broken[0]}"
        )
    return scores
