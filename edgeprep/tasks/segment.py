"""The class of every pixel."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Task
from edgeprep.marks import Mark, Overlay, color_of
from edgeprep.tasks.classify import check_labels
from edgeprep.tasks.resampling import resample
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Segment", "Segmentation"]

Level = Annotated[int, msgspec.Meta(ge=0, le=255)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Task):
    """Networks with one output `(1, classes, h, w)`, a logit or a probability of every pixel.

    With two classes, one map `(1, 1, h, w)` may stand for the second, by `scores = "sigmoid"`.

    Attributes:
        labels: the name of each class, in the order of the output.
        scores: how outputs become probabilities: "softmax" over the classes, "sigmoid" of one map,
            or "none" for networks that end with probabilities.
        colors: what each class is drawn in, RGB; where none are given, colours of its own.
        background: the number of the class that is not drawn; None: all are.
    """

    name: ClassVar[str] = "segment"
    metrics: ClassVar[tuple[str, ...]] = ("mean-iou", "pixel-accuracy", "dice")
    truth: ClassVar[TruthKind | None] = "mask"
    spatial: ClassVar[bool] = True
    objective: ClassVar[str] = "edgeprep.train.segmentation:PixelCrossEntropy"

    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=255)]
    scores: Literal["softmax", "sigmoid", "none"] = "softmax"
    colors: tuple[tuple[Level, Level, Level], ...] = ()
    background: Annotated[int, msgspec.Meta(ge=0)] | None = 0

    def __post_init__(self) -> None:
        check_labels(self.labels)
        if self.colors and len(self.colors) != len(self.labels):
            rule = f"must be one for each of the {len(self.labels)} labels"
            raise ValueError(f"colors: {rule}, got {len(self.colors)}")
        if self.scores == "sigmoid" and len(self.labels) != 2:
            rule = "must not be 'sigmoid' unless there are two labels"
            raise ValueError(f"scores: {rule}, got {len(self.labels)} labels")

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless there is one output `(1, classes, h, w)`, a label a class."""
        shapes = [output.shape for output in outputs]
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] != 1:
            rule = "'segment' needs one output (1, classes, height, width)"
            raise RecipeError(f"task: {rule}, got {shapes}")
        wanted = 1 if self.scores == "sigmoid" else len(self.labels)
        if shapes[0][1] != wanted:
            rule = f"must have {wanted} maps where scores are {self.scores!r} and labels are"
            raise RecipeError(f"task: the output {rule} {len(self.labels)}, got {shapes[0][1]}")

    def decode(
        self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None
    ) -> "Segmentation":
        """The classes, at the size of the picture that came in; worked out when looked at."""
        if frame is None:
            raise ShapeError("frame: task 'segment' must know where the network looks, got None")
        return Segmentation(self, outputs[0][0], frame)


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """What every pixel of one picture shows: an immutable value.

    Attributes:
        task: says what the classes are.
        output: `(maps, h, w)`, what the network gave; it must not change afterwards.
        frame: of the picture.
    """

    task: Segment
    output: NDArray[Any]
    frame: Frame

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """The class of every pixel, `(H, W)`; of equal ones, the first."""
        maps = resample(self.output, self.frame)
        best = maps[0] > 0.0 if self.task.scores == "sigmoid" else maps.argmax(axis=0)
        classes: NDArray[np.uint8] = best.astype(np.uint8)
        classes.flags.writeable = False
        return classes

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """How likely every pixel is of each class: `(classes, H, W)`, in 0..1.

        Outputs are brought to the size of the picture before they become probabilities.
        """
        maps = resample(self.output, self.frame)
        if self.task.scores == "sigmoid":
            second = 0.5 * (1.0 + np.tanh(0.5 * maps))
            maps = np.concatenate((1.0 - second, second))
        elif self.task.scores == "softmax":
            powers = np.exp(maps - maps.max(axis=0))
            maps = powers / powers.sum(axis=0)
        maps.flags.writeable = False
        return maps

    @property
    def shares(self) -> dict[str, float]:
        """Of how many of all pixels each class is, in 0..1, by its name."""
        counts = np.bincount(self.classes.reshape(-1), minlength=len(self.task.labels))
        return {
            label: float(count) / self.classes.size
            for label, count in zip(self.task.labels, counts.tolist(), strict=True)
        }

    @property
    def colored(self) -> NDArray[np.uint8]:
        """`(H, W, 3)`: every pixel in the colour of its class."""
        count = len(self.task.labels)
        colors = self.task.colors or tuple(map(color_of, range(count)))
        return np.array(colors, np.uint8)[self.classes]

    def marks(self) -> tuple[Mark, ...]:
        """The colours of all classes but the background."""
        background = self.task.background
        drawn = np.ones(self.classes.shape, np.bool_)
        if background is not None:
            drawn = self.classes != background
        return (Overlay(self.colored, drawn.astype(np.float32) * 0.5),)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints: the shares, and the classes row by row.

        A row is a list of runs, `[class, length]`, from left to right.
        """
        return {
            "size": list(self.classes.shape),
            "shares": self.shares,
            "runs": [_runs(row) for row in self.classes],
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segmentation) and np.array_equal(self.classes, other.classes)

    def __hash__(self) -> int:
        return hash(self.classes.tobytes())

    def __str__(self) -> str:
        seen = [(share, label) for label, share in self.shares.items() if share > 0]
        ordered = sorted(seen, key=lambda each: -each[0])
        return ", ".join(f"{label} {share:.1%}" for share, label in ordered)

    def __repr__(self) -> str:
        return f"Segmentation({self})"


def _runs(row: NDArray[np.uint8]) -> list[list[int]]:
    starts = np.flatnonzero(np.diff(row, prepend=row[0] ^ 1))
    lengths = np.diff(starts, append=len(row))
    return [[int(row[at]), length] for at, length in zip(starts, lengths.tolist(), strict=True)]
