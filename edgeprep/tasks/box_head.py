"""Where the boxes and scores of a detector are in its outputs, and what its numbers mean."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.tasks.priors import Priors
from edgeprep.tensors import TensorSpec

__all__ = ["BoxColumns", "ScoreColumns", "Values", "count_of"]

Number = Annotated[int, Meta(ge=0)]
# Where the values of one candidate lie: in the last axis of (1, N, C), as transformers and SSD have
# them; in the second one of (1, C, N), as YOLO has; or in the second one of maps (1, A · C, H, W).
Axis = Literal["last", "second"]
Activation = Literal["sigmoid", "softmax", "none"]
_ALL = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Values of every candidate.

    Attributes:
        output: the number of the output that has them, or of several, one for each grid.
        first: the place of the first value of a candidate.
        axis: which axis has the values of one candidate.
    """

    output: Number | Annotated[tuple[Number, ...], Meta(min_length=1)] = 0
    first: Number = 0
    axis: Axis = "last"

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the outputs."""
        return self.output if isinstance(self.output, tuple) else (self.output,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxColumns(Columns):
    """Where boxes are, and how their four numbers are meant.

    Attributes:
        form: "corners": least and greatest x and y. "center-size": the centre, width and height.
            "corner-size": least x and y, width and height. "distances": how far from the centre
            of a prior the left, upper, right and lower side are. "deltas": where the centre is,
            from that of a prior, in widths and heights of the prior, and the logarithms of how
            much wider and higher the box is.
        order: whether x comes before y.
        unit: "pixels" of the network's picture; "relative" to its width and height; "cells", in
            strides of the priors, for distances alone.
        scale: what the four numbers are multiplied by before: the variances of SSD.
        priors: what distances and deltas start from.
    """

    form: Literal["corners", "center-size", "corner-size", "distances", "deltas"] = "corners"
    order: Literal["xy", "yx"] = "xy"
    unit: Literal["pixels", "relative", "cells"] = "pixels"
    scale: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    priors: Priors | None = None

    def __post_init__(self) -> None:
        started = self.form in ("distances", "deltas")
        if started and self.priors is None:
            raise ValueError(f"priors: must be given where form is {self.form!r}, got none")
        if not started and self.priors is not None:
            raise ValueError(f"priors: must be absent where form is {self.form!r}, got some")
        if self.unit == "cells" and self.form != "distances":
            rule = "must be 'pixels' or 'relative' unless form is 'distances'"
            raise ValueError(f"unit: {rule}, got 'cells'")
        if self.unit == "relative" and self.form == "deltas":
            rule = "must be 'pixels' where form is 'deltas', which are relative to priors"
            raise ValueError(f"unit: {rule}, got 'relative'")

    def starts(self, height: int, width: int) -> NDArray[np.float32]:
        """What distances and deltas start from, `(N, 5)`: see `Priors.boxes`."""
        if self.priors is None:
            raise ValueError(f"priors: must be given where form is {self.form!r}, got none")
        return self.priors.boxes(height, width)

    def corners(
        self, values: NDArray[np.float32], chosen: NDArray[np.int64], seen: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Least x, least y, greatest x, greatest y in pixels of the network's picture: `(N, 4)`.

        Args:
            values: `(N, 4)`, as they are in the output.
            chosen: `(N,)`, which candidates they are of.
            seen: height and width of the network's picture.
        """
        height, width = seen
        values = values * np.array(self.scale, np.float32)
        if self.order == "yx":
            values = values[:, [1, 0, 3, 2]]
        if self.unit == "relative":
            values = values * np.array([width, height, width, height], np.float32)
        first, second = values[:, :2], values[:, 2:]
        if self.form == "corners":
            return values
        if self.form == "corner-size":
            return np.concatenate((first, first + second), axis=1)
        if self.form == "center-size":
            return np.concatenate((first - second / 2, first + second / 2), axis=1)
        priors = self.starts(height, width)[chosen]
        centers = priors[:, :2]
        if self.form == "distances":
            if self.unit == "cells":
                first, second = first * priors[:, 4:], second * priors[:, 4:]
            return np.concatenate((centers - first, centers + second), axis=1)
        centers = centers + first * priors[:, 2:4]
        # NOTE: a wild logit is a box as large as all, not infinity.
        half = np.exp(np.minimum(second, 16.0)) * priors[:, 2:4] / 2
        return np.concatenate((centers - half, centers + half), axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreColumns(Columns):
    """Where the scores of classes are.

    Attributes:
        activation: how outputs become scores.
        background: which of the values is of no class at all.
    """

    activation: Activation = "sigmoid"
    background: Literal["none", "first", "last"] = "none"

    @property
    def foreground(self) -> slice:
        """Where among the values those of classes are."""
        return {"none": _ALL, "first": slice(1, None), "last": slice(None, -1)}[self.background]


class Values:
    """Values of every candidate, `(candidates, count)`, as they lie in the outputs.

    Few candidates are looked at twice, so that those of several outputs are never put together.

    Args:
        outputs: of the network.
        columns: where the values are.
        count: how many a candidate has.
    """

    def __init__(self, outputs: tuple[NDArray[Any], ...], columns: Columns, count: int) -> None:
        rows = (_rows(outputs[number], columns) for number in columns.outputs)
        self._parts = [row[:, columns.first :][:, :count] for row in rows]
        self._ends = np.cumsum([len(part) for part in self._parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def peaks(self, which: slice = _ALL) -> NDArray[Any]:
        """The greatest of the values `which` of every candidate, `(candidates,)`."""
        peaks = [part[:, which].max(axis=1, initial=-np.inf) for part in self._parts]
        return np.concatenate(peaks) if len(peaks) > 1 else peaks[0]

    def __getitem__(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Those of the candidates with these numbers, `(len(numbers), count)`."""
        if len(self._parts) == 1:
            return np.asarray(self._parts[0][numbers], np.float32)
        taken = np.empty((len(numbers), self._parts[0].shape[1]), np.float32)
        homes = np.searchsorted(self._ends, numbers, side="right")
        for home, part in enumerate(self._parts):
            here = homes == home
            taken[here] = part[numbers[here] - (self._ends[home] - len(part))]
        return taken


def _rows(output: NDArray[Any], columns: Columns) -> NDArray[Any]:
    values: NDArray[Any] = output[0]
    if columns.axis == "second":
        # `(C, N)`, or `(C, H, W)`.
        return values.reshape(len(values), -1).T
    return values.reshape(-1, values.shape[-1])


def count_of(specs: tuple[TensorSpec, ...], columns: Columns, count: int, where: str) -> int:
    """How many candidates there are.

    Raises:
        RecipeError: an output is not there, or has not so many values of each.
    """
    total = 0
    for number in columns.outputs:
        if number >= len(specs):
            rule = f"must be the number of one of the network's {len(specs)} outputs"
            raise RecipeError(f"{where}.output: {rule}, got {number}")
        shape = specs[number].shape
        fits = len(shape) in ((3, 4) if columns.axis == "second" else (3,)) and shape[0] == 1
        if not fits:
            wanted = "(1, values, N) or (1, values, H, W)"
            wanted = "(1, N, values)" if columns.axis == "last" else wanted
            raise RecipeError(f"{where}: output {number} must be {wanted}, got {shape}")
        values = shape[-1] if columns.axis == "last" else shape[1]
        if values < columns.first + count:
            rule = f"output {number} must have {columns.first + count} values of each candidate"
            raise RecipeError(f"{where}: {rule}, got {values} in {shape}")
        total += int(np.prod(shape[1:])) // values
    return total
