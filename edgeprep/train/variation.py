"""What a training picture goes through on the host, where pictures vary."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError, InputError
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
    """

    augment: Augment
    host: Chain
    where: str

    def __call__(self, picture: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """`picture`, the sample `index`, as the graph takes it this time: `(1, H, W, C)`.

        Args:
            picture: `(H, W, 3)`, or `(H, W, 1)` for grey, uint8.
            index: its number among the samples.

        Raises:
            DataError: a stage cannot work on it.
        """
        try:
            varied = self.augment(from_rgb(picture, self.augment.input), index)
            return self.host.prepare(varied)
        except InputError as error:
            raise DataError(f"{self.where}: sample {index}: {error}") from error
