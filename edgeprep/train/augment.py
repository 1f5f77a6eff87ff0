"""Pictures that vary from epoch to epoch, for a data set."""

from collections.abc import Sequence
from copy import copy
from typing import Any, SupportsIndex

import numpy as np
import torch
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.picture import check_picture
from edgeprep.stages.random.draw import PICTURES, draw, leaving, of_array, whole_number
from edgeprep.tensors import ImageSpec

__all__ = ["Augment"]


class Augment:
    """Send every picture through a draw of its own: `augment(picture, index)`.

    What a picture goes through depends on `seed`, on the epoch and on its index alone: training
    repeats exactly, whatever the number of workers and the order of the pictures. Call `set_epoch`
    at the start of every epoch; workers that live on see it, too.

    Without an index, as where it is the `transform` of some data set, the draws of a process go on
    from picture to picture. They differ between workers and between epochs, and repeat for the same
    number of workers, where `torch.manual_seed` is called before.

    Args:
        stages: those that vary pictures, and others between them, such as a resize.
        seed: a whole number from 0; another one gives other draws.
        input: the type of the pictures that arrive.

    Attributes:
        output: the type of the pictures that leave, uint8.

    Raises:
        RecipeError: a stage cannot work on what arrives at it, or leaves what is no picture of the
            kind that came; or `seed` is below 0.
    """

    def __init__(self, stages: Sequence[Stage], *, seed: int, input: ImageSpec = PICTURES) -> None:
        self.stages = tuple(stages)
        self.seed = whole_number("seed", seed)
        self.input = input
        self.output = leaving(self.stages, input).replace(dtype="uint8")
        # In shared memory, for workers that live through several epochs.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        self._count = 0

    @property
    def epoch(self) -> int:
        """The epoch, which `set_epoch` sets; at first 0."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew: to be called before the loader of each epoch is iterated over.

        Raises:
            RecipeError: `epoch` is no whole number from 0.
        """
        self._epoch.fill_(whole_number("epoch", epoch))
        self._count = 0

    def at(self, epoch: int) -> "Augment":
        """The same at `epoch`, whatever is set here, or in another process, meanwhile.

        Raises:
            RecipeError: `epoch` is no whole number from 0.
        """
        other = copy(self)
        other._epoch = torch.tensor(whole_number("epoch", epoch))
        other._count = 0
        return other

    def draw(self, size: tuple[int, int], index: SupportsIndex | None = None) -> Chain:
        """What a picture goes through, as a chain in which nothing is random any more.

        Its `prepare` varies the picture; the inverses of its `backward` take boxes and points
        along, which label what is where.

        Args:
            size: its height and width in pixels.
            index: its index in the data set, from 0; None: the next of this process.

        Raises:
            RecipeError: `index` is no whole number from 0.
            ShapeError: a stage cannot work on pictures of this size.
        """
        height, width = size
        image = self.input.replace(height=height, width=width)
        return draw(self.stages, self._generator(index), image)

    def __call__(
        self, picture: NDArray[np.uint8], index: SupportsIndex | None = None
    ) -> NDArray[np.uint8]:
        """A picture as it comes out this time.

        Args:
            picture: `(H, W, C)`, uint8, of the type `input`.
            index: its index in the data set, from 0; None: the next of this process.

        Returns:
            `(height, width, C)`, uint8, of the type `output`; values are rounded, halves up. It may
            be a view of `picture`.

        Raises:
            DTypeError: `picture` is not uint8.
            ShapeError: it has another shape, or is too small or large for a stage.
            RecipeError: `index` is no whole number from 0.
        """
        return self.vary(picture, index)[0]

    def vary(
        self, picture: NDArray[np.uint8], index: SupportsIndex | None = None
    ) -> tuple[NDArray[np.uint8], Chain]:
        """A picture as it comes out this time, and what it went through: see `draw`.

        Args and Raises: as for a call.
        """
        check_picture(picture, self.input)
        chain = self.draw(of_array(self.input, *picture.shape[:2]).size, index)
        prepared: NDArray[Any] = chain.prepare(picture)[0]
        return prepared, chain

    def _generator(self, index: SupportsIndex | None) -> Generator:
        key: tuple[int, ...] = (0, self.epoch)
        if index is None:
            worker = get_worker_info()
            if worker is not None:
                # Its seed is another one in every worker, and where workers end with an epoch, in
                # every epoch.
                key = (1, worker.seed, self.epoch)
            number = self._count
            self._count += 1
        else:
            number = whole_number("index", index)
        return np.random.default_rng(SeedSequence(self.seed, spawn_key=(*key, number)))
