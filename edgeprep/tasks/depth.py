"""A number for every pixel, such as its distance."""

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

__all__ = ["Depth", "DepthMap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth(Task):
    """Networks with one output `(1, 1, h, w)` or `(1, h, w)`: a number for every pixel.

    Attributes:
        unit: of the numbers, for people, such as "m".
        scale: what the network's numbers are multiplied by.
    """

    name: ClassVar[str] = "depth"
    metrics: ClassVar[tuple[str, ...]] = (
        "mean-absolute-error",
        "root-mean-square-error",
        "delta-1",
    )
    truth: ClassVar[TruthKind | None] = "map"
    spatial: ClassVar[bool] = True
    objective: ClassVar[str] = "edgeprep.train.restoration:MapError"

    unit: str = ""
    scale: float = 1.0

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless there is one output `(1, 1, h, w)` or `(1, h, w)`."""
        shapes = [output.shape for output in outputs]
        fits = len(shapes) == 1 and (
            (len(shapes[0]) == 4 and shapes[0][:2] == (1, 1))
            or (len(shapes[0]) == 3 and shapes[0][0] == 1)
        )
        if not fits:
            rule = "'depth' needs one output (1, 1, height, width) or (1, height, width)"
            raise RecipeError(f"task: {rule}, got {shapes}")

    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> "DepthMap":
        """The numbers, at the size of the picture that came in; worked out when looked at."""
        if frame is None:
            raise ShapeError("frame: task 'depth' must know where the network looks, got None")
        return DepthMap(self, outputs[0].reshape(1, *outputs[0].shape[-2:]), frame)


@dataclass(frozen=True, eq=False, repr=False)
class DepthMap:
    """A number for every pixel of one picture: an immutable value.

    Attributes:
        task: says what the numbers are.
        output: `(1, h, w)`, what the network gave; it must not change afterwards.
        frame: of the picture.
    """

    task: Depth
    output: NDArray[Any]
    frame: Frame

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """`(H, W)`, in the task's unit."""
        maps = resample(self.output, self.frame)
        values: NDArray[np.float32] = maps[0] * np.float32(self.task.scale)
        values.flags.writeable = False
        return values

    @property
    def picture(self) -> NDArray[np.uint8]:
        """`(H, W, 1)`: from the least value, black, to the greatest, white."""
        least, greatest = float(self.values.min()), float(self.values.max())
        shares = (self.values - least) / (greatest - least or 1.0)
        return np.asarray(np.floor(shares * 255 + 0.5).astype(np.uint8)[..., None])

    def marks(self) -> tuple[Mark, ...]:
        """The map as a picture."""
        return (Replacement(self.picture, "map"),)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {"size": list(self.values.shape), "values": self.values.tolist()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DepthMap) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(self.values.tobytes())

    def __str__(self) -> str:
        least, middle, greatest = np.percentile(self.values, [0, 50, 100]).tolist()
        unit = f" {self.task.unit}" if self.task.unit else ""
        return f"{least:.3g} to {greatest:.3g}{unit}, half below {middle:.3g}"

    def __repr__(self) -> str:
        return f"DepthMap({self})"
