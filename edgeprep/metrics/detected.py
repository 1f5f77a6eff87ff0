"""What metrics of boxes need of a result."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Detected"]


class Detected(Protocol):
    """A result that has boxes around objects, each of one class."""

    @property
    def boxes(self) -> NDArray[np.float64]:
        """`(objects, 4)`: least x, least y, greatest x, greatest y in pixels of the picture."""

    @property
    def scores(self) -> NDArray[Any]:
        """`(objects,)`, float."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """`(objects,)`: the number of the class of each."""
