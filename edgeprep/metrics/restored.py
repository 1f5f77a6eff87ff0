"""What metrics of pictures need of a result."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Restored"]


class Restored(Protocol):
    """A result that is a picture."""

    @property
    def picture(self) -> NDArray[np.uint8]:
        """`(H, W, C)`."""
