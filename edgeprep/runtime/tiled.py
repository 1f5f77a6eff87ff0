"""A session on a network of one size that takes pictures of any size, tile by tile."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY, Affine
from edgeprep.interfaces import Task, Tiling
from edgeprep.runtime.mosaic import Mosaic
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.stream import Preparing
from edgeprep.stages.chain import Chain
from edgeprep.stages.picture import check_picture
from edgeprep.stages.stream import Stream
from edgeprep.tensors import TensorSpec

__all__ = ["TiledSession", "check_tiling"]


def check_tiling(task: Task, chain: Chain, *, states: Sequence[TensorSpec] = ()) -> None:
    """Refuse preprocessing through which pictures cannot go tile by tile.

    Args:
        task: any; nothing is asked where it does not join tiles.
        chain: the whole preprocessing.
        states: what the network remembers of earlier pictures.

    Raises:
        RecipeError: pictures have no one size or are planes, a stage moves pixels or looks at the
            whole picture, or several pictures are looked at.
    """
    if task.tiling is None:
        return
    overlap, (height, width) = task.tiling.overlap, (chain.input.height, chain.input.width)
    where = "task.overlap"
    if height is None or width is None:
        remedy = "name the size that the network takes, or leave overlap out"
        raise RecipeError(f"{where}: needs input.size, which tiles will have, got none; {remedy}")
    if chain.input.is_planar:
        rule = "needs pictures of whole pixels"
        raise RecipeError(f"{where}: {rule}, got input.color {chain.input.color!r}")
    if chain.remembers or states or chain.input.batch > 1:
        rule = "needs preprocessing and a network that look at one picture at a time"
        raise RecipeError(f"{where}: {rule}, got some that look at several")
    if chain.output.size != (height, width) or chain.backward(height, width) != (IDENTITY,):
        rule = "needs preprocessing that leaves every pixel in its place"
        raise RecipeError(f"{where}: {rule}, got stage {_moving(chain)!r}")
    everywhere = [stage.name for stage in chain.stages if stage.looks_everywhere]
    if everywhere:
        rule = "needs preprocessing that makes of a tile what it makes of the picture"
        remedy = "leave overlap out, or do it before"
        raise RecipeError(f"{where}: {rule}, got stage {everywhere[0]!r}; {remedy}")
    if overlap > min(height, width) // 2:
        rule = f"must be at most half of the network's {[height, width]!r} pixels"
        raise RecipeError(f"{where}: {rule}, got {overlap}")


def _moving(chain: Chain) -> str:
    """The first stage that does not leave pixels where they are."""
    return next(
        stage.name
        for stage, image in chain.steps
        if stage.output(image).size != image.size or stage.backward(image) != (IDENTITY,)
    )


class TiledSession(NetworkSession):
    """A session whose pictures of other sizes than the network's are cut into overlapping tiles.

    A picture of the network's size goes through it whole, as in any session. See `Mosaic` for how
    tiles lie. Preprocessing sees tiles, of which it makes the same. Beside the picture and the
    result no more than a row of tiles is held.

    Args:
        tiling: the task's.
        given: as for `NetworkSession`, with a chain that `check_tiling` has found good.

    Attributes:
        input: pictures of any size.
    """

    shares = False

    def __init__(self, tiling: Tiling, **given: Any) -> None:
        super().__init__(**given)
        self._tiling = tiling
        self._tile = self.input.size
        self.input = self.input.replace(height=None, width=None)

    def outputs(self, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """See `Session.outputs`; those of tiles are joined, `(1, C, H · scale, W · scale)`."""
        prepared = self.prepare(picture)
        if self._is_whole(picture):
            return self._run(super().prepare(picture))
        bands = list(self._bands(prepared, None))
        return (np.concatenate(bands, axis=1)[None],)

    def backward(self, height: int, width: int) -> tuple[Affine, ...]:
        """See `Session.backward`: every pixel stays where it is."""
        return (IDENTITY,)

    def begin(self) -> Preparing:
        """See `NetworkSession.begin`."""
        # Tiles are prepared one by one, when they run.
        return Stream(Chain(input=self.input, stages=()))

    def results(
        self, pictures: Sequence[NDArray[np.uint8]], prepared: Sequence[NDArray[np.uint8]]
    ) -> Sequence[Any]:
        """See `NetworkSession.results`; each picture by itself, as its tiles are many already."""
        results = []
        for picture, taken in zip(pictures, prepared, strict=True):
            result, _ = self._next(picture, taken, (), "")
            self._watch(taken, result, None)
            results.append(result)
        return results

    def prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture itself: it is cut into tiles first."""
        self._check_usable()
        return check_picture(picture, self.input)

    def _next(
        self,
        picture: NDArray[np.uint8],
        prepared: NDArray[np.uint8],
        states: tuple[NDArray[Any], ...],
        place: str,
    ) -> tuple[Any, tuple[NDArray[Any], ...]]:
        if self._is_whole(picture):
            return super()._next(picture, super().prepare(picture), states, place)
        scale, done = self._tiling.scale, 0
        result: NDArray[np.uint8] | None = None
        for band in self._bands(picture, place):
            levels = self._tiling.levels(band)
            if result is None:
                height, width = (length * scale for length in picture.shape[:2])
                result = np.empty((height, width, levels.shape[2]), np.uint8)
            result[done : done + len(levels)] = levels
            done += len(levels)
        assert result is not None  # noqa: S101 -- there is always a band
        return self._tiling.result(result), states

    def _seen(self, prepared: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """A tile of the picture's middle, where it has one."""
        (height, width), (rows, columns) = self._tile, prepared.shape[:2]
        if rows < height or columns < width:
            return None
        top, left = (rows - height) // 2, (columns - width) // 2
        tile = prepared[top : top + height, left : left + width]
        return super()._seen(super().prepare(tile))

    @property
    def _together(self) -> int:
        return 1

    def _is_whole(self, picture: NDArray[np.uint8]) -> bool:
        return picture.shape[:2] == self._tile

    def _bands(
        self, picture: NDArray[np.uint8], place: str | None
    ) -> Iterator[NDArray[np.float32]]:
        """What tiles become, joined; checked to be finite where there is a `place` to name."""
        height, width = picture.shape[:2]
        mosaic = Mosaic((height, width), self._tile, self._tiling.overlap, self._tiling.scale)

        def run(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
            prepared = super(TiledSession, self).prepare(tile)
            if place is None:
                return np.asarray(self._run(prepared)[0][0])
            outputs = self._run_finite(place, prepared)
            return np.asarray(outputs[0][0])

        return mosaic.bands(picture, run)
