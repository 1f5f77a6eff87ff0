"""A number for every pixel, such as its distance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task
from edgeprep.marks import Mark, Replacement
from edgeprep.tasks.placed import need_frame
from edgeprep.tasks.resampling import looked_at, resample
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Depth", "DepthMap"]

_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth(Task):
    """Networks with one output `(1, 1, h, w)` or `(1, h, w)`: a number for every pixel.

    Attributes:
        unit: of the numbers, for people, such as "m".
        scale: what the network's numbers are multiplied by.
        align: what metrics do first with networks whose numbers are relative, and so have any
            scale and any zero: "scale-and-shift" brings each map as near to its truth as a factor
            and a sum can. Results stay as they are.
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
    align: Literal["none", "scale-and-shift"] = "none"

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
        frame = need_frame(frame, self.name)
        return DepthMap(self, outputs[0].reshape(1, *outputs[0].shape[-2:]), frame)

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the numbers, in one unit; of relative ones, in the first's."""
        joined = replace(self, scale=1.0)
        return Blending(
            kind="values",
            same={"unit": self.unit, "align": self.align},
            take=lambda result: (result.values,),
            give=lambda arrays: DepthMap.of(joined, arrays[0]),
            unheard=("scale",),
            align=None if self.align == "none" else joined._to_the_first,
        )

    def _to_the_first(
        self, answers: Sequence[tuple[NDArray[np.float32], ...]]
    ) -> Sequence[tuple[NDArray[np.float32], ...]]:
        """Maps `(H, W)`, each as near to the first one as metrics bring it to its truth."""
        first = answers[0][0]
        others = (DepthMap.of(self, values).held_to(first) for (values,) in answers[1:])
        return [(first,), *((values,) for values in others)]


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

    @classmethod
    def of(cls, task: Depth, values: NDArray[np.float32]) -> "DepthMap":
        """That of values which are known at every pixel, or NaN where nobody looked.

        Args:
            task: with a scale of 1.
            values: `(H, W)`, in the task's unit.
        """
        result = cls(task, values[None], Frame.whole(*values.shape))
        values.flags.writeable = False
        # What is known need not be worked out when it is looked at.
        vars(result)["values"] = values
        return result

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """`(H, W)`, in the task's unit; NaN where the network does not look."""
        maps = resample(self.output, self.frame)
        values: NDArray[np.float32] = maps[0] * np.float32(self.task.scale)
        values[~looked_at(self.frame)] = np.nan
        values.flags.writeable = False
        return values

    def held_to(self, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """`values` as metrics compare them with `truth`, `(H, W)`, NaN where that is unknown.

        Source: Ranftl et al., "Towards Robust Monocular Depth Estimation", arXiv:1907.01341,
        equation 4: scale and shift by least squares over the known pixels of one picture
        (tests/tasks/test_depth.py).
        """
        # Whoever compares says better than this what shapes are wrong.
        if self.task.align == "none" or truth.shape != self.values.shape:
            return self.values
        known = ~np.isnan(truth) & ~np.isnan(self.values)
        ours, theirs = (each[known].astype(np.float64) for each in (self.values, truth))
        if not ours.size:
            return self.values
        apart = ours - ours.mean()
        spread = float(apart @ apart)
        # Of a flat map all that fits is the mean of its truth.
        factor = float(apart @ theirs) / spread if spread else 0.0
        shift = float(theirs.mean()) - factor * float(ours.mean())
        return np.asarray(self.values * np.float32(factor) + np.float32(shift), np.float32)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """`(H, W, 1)`: from the least value, black, to the greatest, white; NaN is black."""
        least, greatest = float(np.nanmin(self.values)), float(np.nanmax(self.values))
        shares = np.nan_to_num((self.values - least) / (greatest - least or 1.0))
        return np.asarray(np.floor(shares * 255 + 0.5).astype(np.uint8)[..., None])

    def marks(self) -> tuple[Mark, ...]:
        """The map as a picture."""
        return (Replacement(self.picture, "map"),)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints: how far the values go, which are millions.

        Of how many in a hundred pixels the value is at most that.
        """
        found = np.nanpercentile(self.values, _PERCENTILES).tolist()
        percentiles = dict(zip(map(str, _PERCENTILES), found, strict=True))
        return {
            "size": list(self.values.shape),
            "unit": self.task.unit,
            "percentiles": percentiles,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DepthMap) and np.array_equal(
            self.values, other.values, equal_nan=True
        )

    def __hash__(self) -> int:
        return hash(self.values.tobytes())

    def __str__(self) -> str:
        least, middle, greatest = np.nanpercentile(self.values, [0, 50, 100]).tolist()
        unit = f" {self.task.unit}" if self.task.unit else ""
        return f"{least:.3g} to {greatest:.3g}{unit}, half below {middle:.3g}"

    def __repr__(self) -> str:
        return f"DepthMap({self})"
