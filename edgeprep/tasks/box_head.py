"""Where the boxes and scores of a detector are in its outputs, and what its numbers mean."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgeprep.tasks.priors import Priors

__all__ = ["BoxColumns", "Columns", "ScoreColumns"]

Number = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Outputs = Number | Annotated[tuple[Number, ...], Meta(min_length=1)]
Axis = Literal["last", "second"]
Activation = Literal["sigmoid", "softmax", "none"]
_ALL = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Values of every candidate.

    Attributes:
        output: the number of the output that has them, or of several, one for each grid.
        first: the place of the first value of a candidate.
        axis: which axis has the values of a candidate: the "last" one of `(1, N, C)`, as
            transformers and SSD have them, and of `(1, H, W, C)`; or the "second" one of
            `(1, C, N)`, as YOLO has, and of maps `(1, C, H, W)`.
        anchors: how many candidates every place has, whose values lie there one candidate after
            the other, as in the maps `(1, A · C, H, W)` of SSD; or how many in each output.
    """

    output: Outputs = 0
    first: Number = 0
    axis: Axis = "last"
    anchors: Count | tuple[Count, ...] = 1

    def __post_init__(self) -> None:
        if isinstance(self.anchors, tuple) and len(self.anchors) != len(self.outputs):
            rule = f"must be one number, or one for each of the {len(self.outputs)} outputs"
            raise ValueError(f"anchors: {rule}, got {len(self.anchors)}")

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the outputs."""
        return self.output if isinstance(self.output, tuple) else (self.output,)

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """The number of each output, and how many candidates every place of it has."""
        anchors = self.anchors
        each = anchors if isinstance(anchors, tuple) else (anchors,) * len(self.outputs)
        return tuple(zip(self.outputs, each, strict=True))


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
            those of the priors, for distances alone.
        scale: what the four numbers are multiplied by before: the variances of SSD.
        priors: what distances and deltas start from.
    """

    form: Literal["corners", "center-size", "corner-size", "distances", "deltas"] = "corners"
    order: Literal["xy", "yx"] = "xy"
    unit: Literal["pixels", "relative", "cells"] = "pixels"
    scale: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    priors: Priors | None = None

    def __post_init__(self) -> None:
        Columns.__post_init__(self)
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
        """What distances and deltas start from, `(N, 6)`: see `Priors.starts`."""
        if self.priors is None:
            raise ValueError(f"priors: must be given where form is {self.form!r}, got none")
        return self.priors.starts(height, width)

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

    output: Outputs = 1
    activation: Activation = "sigmoid"
    background: Literal["none", "first", "last"] = "none"

    def count(self, classes: int) -> int:
        """How many values a candidate has for so many classes, with that of the background."""
        return classes + (self.background != "none")

    @property
    def foreground(self) -> slice:
        """Where among the values those of classes are."""
        return {"none": _ALL, "first": slice(1, None), "last": slice(None, -1)}[self.background]

    @property
    def behind(self) -> slice:
        """Where among the values that of the background is."""
        return {"none": slice(0), "first": slice(1), "last": slice(-1, None)}[self.background]
