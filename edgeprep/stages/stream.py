"""Stages that remember earlier pictures, and a chain that keeps their memories for one stream."""

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import ShapeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.chain import Chain, check_picture, to_levels
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

__all__ = ["Stream", "StreamStage"]

T = TypeVar("T")

NUMPY = NumpyPrimitives()


class StreamStage(Stage):
    """A step that looks at the pictures before this one, too.

    Where a picture stands alone, as a photograph does, it is the first of its stream.
    """

    host_only: ClassVar[str] = "it remembers earlier pictures"

    @abstractmethod
    def step(
        self, F: Primitives[T], x: T, image: ImageSpec, memory: Any, time_s: float
    ) -> tuple[T | None, Any]:
        """One picture further.

        Args:
            F: the interpreter.
            x: `(N, H, W, C)`, the pictures of N streams at one moment.
            image: their type.
            memory: what the step before this one returned; None for the first.
            time_s: when the picture was taken, in seconds from any moment on.

        Returns:
            The pictures that leave, None to drop them; and what the next step has to know.
        """

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`x` as the first pictures of their streams."""
        answer = self.step(F, x, image, None, 0.0)
        return x if answer[0] is None else answer[0]


class Stream:
    """A host's chain over the pictures of one camera or file, in their order.

    Args:
        chain: the host's share of a bundle's preprocessing.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._memories: list[Any] = [None] * len(chain.stages)
        self._shape: tuple[int, ...] | None = None

    def prepare(self, picture: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8] | None:
        """The next picture as the graph takes it; None where a stage drops it.

        Args:
            picture: `(H, W, C)`, uint8, of the chain's input type, and of the size of the first.
            time_s: when it was taken, in seconds; never before the one before it.

        Raises:
            InputError: as `Chain.prepare`; `ShapeError` where the size changes in mid-stream.
        """
        check_picture(picture, self._chain.input)
        if self._shape not in (None, picture.shape):
            rule = f"picture: must have the size of those before it, {self._shape!r}"
            raise ShapeError(f"{rule}, got {picture.shape!r}; begin a new stream")
        self._shape = picture.shape
        x: NDArray[Any] = picture[None]
        pairs = zip(self._chain.stages, self._chain.images, strict=False)
        for index, (stage, image) in enumerate(pairs):
            if not isinstance(stage, StreamStage):
                x = stage.apply(NUMPY, x, image)
                continue
            answer = stage.step(NUMPY, x, image, self._memories[index], time_s)
            result, self._memories[index] = answer
            if result is None:
                return None
            x = result
        return to_levels(x)
