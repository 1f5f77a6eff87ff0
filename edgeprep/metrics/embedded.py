"""What metrics of vectors need of a result."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Embedded"]


class Embedded(Protocol):
    """A result that is a vector."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """`(length,)`."""
