"""Pictures made better: without noise, brighter, larger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task, Tiling
from edgeprep.marks import Mark, Replacement
from edgeprep.tasks.placed import need_frame
from edgeprep.tasks.resampling import bands
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Restoration", "Restore"]

# In pixels.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Task):
    """Networks with one output `(1, C, h, w)`, a picture; C is 3 for RGB, or 1 for grey.

    Attributes:
        range: the outputs that are black and white.
        scale: how many times as wide and high the picture becomes.
        overlap: with it, sessions take pictures of any size, and cut them into tiles of
            `input.size` that share so many pixels with their neighbours. There is no seam where
            the network looks no farther around a pixel than a quarter of that. So are pictures cut
            that calibrate and evaluate; those that train and validate have `input.size`.
            Absent: pictures must have the size that the recipe says.
    """

    name: ClassVar[str] = "restore"
    metrics: ClassVar[tuple[str, ...]] = ("psnr", "ssim")
    truth: ClassVar[TruthKind | None] = "picture"
    spatial: ClassVar[bool] = True
    objective: ClassVar[str] = "edgeprep.train.restoration:PictureError"

    range: tuple[float, float] = (0.0, 1.0)
    scale: int = 1
    overlap: int | None = None

    def __post_init__(self) -> None:
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range: must go up, got {list(self.range)!r}")
        if not 1 <= self.scale <= 16:
            raise ValueError(f"scale: must be in 1..16, got {self.scale}")
        if self.overlap is not None and self.overlap < 0:
            raise ValueError(f"overlap: must be at least 0, got {self.overlap}")

    @property
    def tiling(self) -> Tiling | None:
        """See `Task.tiling`: by `overlap`."""
        if self.overlap is None:
            return None
        return Tiling(
            overlap=self.overlap, scale=self.scale, levels=self.levels, result=self._known
        )

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless there is one output `(1, 3, h, w)` or `(1, 1, h, w)`."""
        shapes = [output.shape for output in outputs]
        fits = len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][0] == 1
        if not fits or shapes[0][1] not in (1, 3):
            rule = "'restore' needs one output (1, 3, height, width) or (1, 1, height, width)"
            raise RecipeError(f"task: {rule}, got {shapes}")

    def decode(
        self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None
    ) -> "Restoration":
        """The picture, over the whole of the one that came in; worked out when looked at.

        Raises:
            ShapeError: preprocessing crops, or leaves pixels as large as they are and the output
                is not of `scale` times their size.
        """
        frame = need_frame(frame, self.name)
        _need_whole(frame)
        if frame.keeps_size:
            self._need_scale(outputs[0].shape[2:], frame.seen)
        return Restoration(partial(self._whole, outputs[0][0], frame))

    def _need_scale(self, found: tuple[int, ...], seen: tuple[int, int]) -> None:
        wanted = [length * self.scale for length in seen]
        if list(found) != wanted:
            rule = f"must be {wanted} pixels, task.scale times what the network sees"
            raise ShapeError(f"output: {rule}, got {list(found)}")

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the levels of the pictures."""
        return Blending(
            kind="values",
            same={"scale": self.scale},
            take=lambda result: (result.picture,),
            give=lambda arrays: self._known(_rounded(arrays[0])),
            unheard=("range", "overlap"),
        )

    def levels(self, maps: NDArray[np.float32]) -> NDArray[np.uint8]:
        """`(C, H, W)` to `(H, W, C)`: rounded, halves up, and cut at 0..255."""
        black, white = self.range
        levels = np.clip((maps - black) * (255.0 / (white - black)), 0.0, 255.0)
        return _rounded(levels).transpose(1, 2, 0)

    def _whole(self, output: NDArray[Any], frame: Frame) -> NDArray[np.uint8]:
        parts = bands(output, frame, scale=self.scale)
        return np.concatenate([self.levels(part) for part in parts])

    def _known(self, picture: NDArray[np.uint8]) -> "Restoration":
        return Restoration(lambda: picture)


@dataclass(frozen=True, eq=False, repr=False)
class Restoration:
    """One picture made better: an immutable value.

    Attributes:
        work_out: gives the picture when it is first looked at.
    """

    work_out: Callable[[], NDArray[np.uint8]]

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """`(H · scale, W · scale, C)`, uint8; values are rounded, halves up, and cut at 0..255."""
        picture = self.work_out()
        picture.flags.writeable = False
        return picture

    def marks(self) -> tuple[Mark, ...]:
        """The picture beside the one that came in."""
        return (Replacement(self.picture, "restored"),)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints; `-o` writes the picture itself."""
        return {"size": list(self.picture.shape[:2])}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Restoration) and np.array_equal(self.picture, other.picture)

    def __hash__(self) -> int:
        return hash(self.picture.tobytes())

    def __str__(self) -> str:
        height, width = self.picture.shape[:2]
        return f"a picture of {width}×{height} pixels"

    def __repr__(self) -> str:
        return f"Restoration({self})"


def _need_whole(frame: Frame) -> None:
    """Refuse a crop, beyond which nothing is known of the picture."""
    height, width = frame.seen
    left, top, right, bottom = frame.back[0].boxes([0.0, 0.0, width, height]).tolist()
    beyond = max(left, top, frame.width - right, frame.height - bottom)
    if beyond > _ROUNDING:
        rule = f"must show all of the {[frame.height, frame.width]} pixels of a picture"
        raise ShapeError(f"preprocess: task 'restore' {rule}, got up to {beyond:.4g} left out")


def _rounded(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers in 0..255 as whole levels, halves up."""
    if levels.dtype == np.uint8:
        return levels
    return np.asarray(np.floor(levels + 0.5).astype(np.uint8))
