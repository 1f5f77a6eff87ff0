"""What metrics of pixels need of a result."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Segmented"]


class Segmented(Protocol):
    """A result that names a class for every pixel."""

    @property
    def classes(self) -> NDArray[np.uint8]:
        """`(H, W)`, of the size of the picture."""
