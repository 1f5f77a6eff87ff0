"""What metrics of maps need of a result."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mapped"]


class Mapped(Protocol):
    """A result that has a number for every pixel."""

    @property
    def values(self) -> NDArray[np.float32]:
        """`(H, W)`, of the size of the picture; NaN where the network does not look."""

    def held_to(self, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """`values` as they are compared with `truth`, `(H, W)`, NaN where that is unknown."""
