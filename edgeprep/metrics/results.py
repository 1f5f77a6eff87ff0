"""What metrics need of a result, by its kind; those of classes are in `classified`."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprep.metrics.classified import WithScores

__all__ = ["Detected", "Embedded", "Mapped", "Multilabelled", "Restored", "Segmented"]


class Mapped(Protocol):
    """A result that has a number for every pixel."""

    @property
    def values(self) -> NDArray[np.float32]:
        """`(H, W)`, of the size of the picture; NaN where the network does not look."""

    def held_to(self, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """`values` as they are compared with `truth`, `(H, W)`, NaN where that is unknown."""


class Restored(Protocol):
    """A result that is a picture."""

    @property
    def picture(self) -> NDArray[np.uint8]:
        """`(H, W, C)`."""


class Segmented(Protocol):
    """A result that names a class for every pixel."""

    @property
    def classes(self) -> NDArray[np.uint8]:
        """`(H, W)`, of the size of the picture."""


class Embedded(Protocol):
    """A result that is a vector."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """`(length,)`."""


class Multilabelled(WithScores, Protocol):
    """A result that says of every class whether it is there."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """`(classes,)`."""


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
