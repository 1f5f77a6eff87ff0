"""What metrics of several classes in one picture need of a result."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprep.metrics.classified import WithScores

__all__ = ["Multilabelled"]


class Multilabelled(WithScores, Protocol):
    """A result that says of every class whether it is there."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """`(classes,)`."""
