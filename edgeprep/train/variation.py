"""What a training picture goes through on the host, where pictures vary."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError, InputError
from edgeprep.geometry import Frame
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.inputs import from_rgb
from edgeprep.stages.chain import Chain
from edgeprep.train.augment import Augment

__all__ = ["Variation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Augmentation, and then the host's share of the preprocessing.

    Attributes:
        augment: varies pictures.
        host: for what `augment` leaves.
        where: the path of the data in the recipe, for messages.
        frames: of the whole preprocessing; None where the task is not spatial.
    """

    augment: Augment
    host: Chain
    where: str
    frames: Frames | None = None

    def __call__(
        self, picture: NDArray[np.uint8], index: int
    ) -> tuple[NDArray[np.uint8], Frame | None]:
        """`picture`, the sample `index`, as the graph takes it this time: `(1, H, W, C)`.

        With it comes where in `picture` the network looks, for tasks that are spatial. All frames
        of a clip vary alike: what comes is `(1, frames, H, W, C)`, and the last frame's place.

        Args:
            picture: `(H, W, 3)`, or `(H, W, 1)` for grey, uint8; or a clip of such.
            index: its number among the samples.

        Raises:
            DataError: a stage cannot work on it.
        """
        if picture.ndim == 4:
            each = [self(frame, index) for frame in picture]
            return np.concatenate([row for row, _ in each])[np.newaxis], each[-1][1]
        try:
            given = from_rgb(picture, self.augment.input)
            varied, drawn = self.augment.vary(given, index)
            return self.host.prepare(varied), self._frame(drawn, varied)
        except InputError as error:
            raise DataError(f"{self.where}: sample {index}: {error}") from error

    def _frame(self, drawn: Chain, varied: NDArray[np.uint8]) -> Frame | None:
        if self.frames is None:
            return None
        height, width = drawn.input.size
        (moved,) = drawn.backward(height, width)
        return self.frames.of(varied).behind(moved, height, width)
