"""A chain over the pictures of one stream, with what its stages remember of earlier ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import ShapeError
from edgeprep.interfaces import StreamStage
from edgeprep.stages.chain import Chain
from edgeprep.stages.picture import check_picture, to_levels
from edgeprep.stages.primitives.numpy import NumpyPrimitives

__all__ = ["Stream"]

NUMPY = NumpyPrimitives()


class Stream:
    """A host's chain over the pictures of one camera or file, in their order.

    Args:
        chain: the host's share of a bundle's preprocessing.
        primitives: as for `Chain.prepare`.
    """

    def __init__(self, chain: Chain, primitives: NumpyPrimitives = NUMPY) -> None:
        self._chain = chain
        self._primitives = primitives
        self._memories: list[Any] = [None] * len(chain.stages)
        self._shape: tuple[int, ...] | None = None

    def prepare(
        self, picture: NDArray[np.uint8], time_s: float | None = None
    ) -> NDArray[np.uint8] | None:
        """The next picture as the graph takes it; None where a stage drops it.

        Args:
            picture: `(H, W, C)`, uint8, of the chain's input type, and of the size of the first.
            time_s: when it was taken, in seconds; not before the picture before it.

        Raises:
            InputError: as `Chain.prepare`; where the size changes in mid-stream; and where a stage
                needs times and gets none.
        """
        picture = check_picture(picture, self._chain.input)
        if self._chain.remembers and self._shape not in (None, picture.shape):
            rule = f"picture: must have the size of those before it, {self._shape!r}"
            raise ShapeError(f"{rule}, got {picture.shape!r}; begin a new stream")
        self._shape = picture.shape
        x: NDArray[Any] = picture[None]
        for index, (stage, image) in enumerate(self._chain.steps):
            if not isinstance(stage, StreamStage):
                x = self._primitives.run(stage, x, image)
                continue
            if x.dtype.name != image.dtype:  # levels that another library has rounded
                x = x.astype(image.dtype)
            answer = stage.step(NUMPY, x, image, self._memories[index], time_s)
            result, self._memories[index] = answer
            if result is None:
                return None
            x = result
        return to_levels(x)
