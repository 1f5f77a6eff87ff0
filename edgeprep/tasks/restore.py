"""Pictures made better: without noise, brighter, larger."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Task
from edgeprep.marks import Mark, Replacement
from edgeprep.tasks.resampling import resample
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Restoration", "Restore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Task):
    """Networks with one output `(1, C, h, w)`, a picture; C is 3 for RGB, or 1 for grey.

    Attributes:
        range: the outputs that are black and white.
        scale: how many times as wide and high the picture becomes.
    """

    name: ClassVar[str] = "restore"
    metrics: ClassVar[tuple[str, ...]] = ("psnr", "ssim")
    truth: ClassVar[TruthKind | None] = "picture"
    spatial: ClassVar[bool] = True
    objective: ClassVar[str] = "edgeprep.train.restoration:PictureError"

    range: tuple[float, float] = (0.0, 1.0)
    scale: int = 1

    def __post_init__(self) -> None:
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range: must go up, got {list(self.range)!r}")
        if not 1 <= self.scale <= 16:
            raise ValueError(f"scale: must be in 1..16, got {self.scale}")

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
        """The picture, over the whole of the one that came in; worked out when looked at."""
        if frame is None:
            raise ShapeError("frame: task 'restore' must know where the network looks, got None")
        return Restoration(self, outputs[0][0], frame)


@dataclass(frozen=True, eq=False, repr=False)
class Restoration:
    """One picture made better: an immutable value.

    Attributes:
        task: says what the numbers are.
        output: `(C, h, w)`, what the network gave; it must not change afterwards.
        frame: of the picture that came in.
    """

    task: Restore
    output: NDArray[Any]
    frame: Frame

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """`(H · scale, W · scale, C)`, uint8; values are rounded, halves up, and cut at 0..255."""
        black, white = self.task.range
        maps = resample(self.output, self.frame, scale=self.task.scale)
        levels = np.clip((maps - black) * (255.0 / (white - black)), 0.0, 255.0)
        picture = np.floor(levels + 0.5).astype(np.uint8).transpose(1, 2, 0)
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
