"""The class of every pixel."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import OutputError, RecipeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task
from edgeprep.marks import Mark, Overlay, color_of
from edgeprep.tasks.activation import sigmoid, softmax
from edgeprep.tasks.classify import check_labels
from edgeprep.tasks.placed import need_frame
from edgeprep.tasks.resampling import bands, looked_at, nearest, resample
from edgeprep.tensors import TensorSpec
from edgeprep.truths import IGNORED, TruthKind

__all__ = ["Segment", "Segmentation"]

# What numbers of classes come as.
_WHOLE = ("uint8", "int8", "int32", "int64")

Level = Annotated[int, msgspec.Meta(ge=0, le=255)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Task):
    """Networks with one output `(1, classes, h, w)`, a logit or a probability of every pixel.

    With two classes, one map `(1, 1, h, w)` may stand for the second: a logit by
    `scores = "sigmoid"`, a probability by "none". Networks that end with the numbers of classes
    themselves, whole numbers `(1, h, w)` or `(1, 1, h, w)`, have `scores = "classes"`.

    Attributes:
        labels: the name of each class, in the order of the output.
        scores: how outputs become probabilities: "softmax" over the classes, "sigmoid" of one map,
            "none" for networks that end with probabilities, or "classes".
        colors: what each class is drawn in, RGB; where none are given, colours of its own.
        background: the number of the class that is not drawn; None: all are.
    """

    name: ClassVar[str] = "segment"
    metrics: ClassVar[tuple[str, ...]] = ("mean-iou", "pixel-accuracy", "dice")
    truth: ClassVar[TruthKind | None] = "mask"
    spatial: ClassVar[bool] = True
    objective: ClassVar[str] = "edgeprep.train.segmentation:PixelCrossEntropy"

    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=255)]
    scores: Literal["softmax", "sigmoid", "none", "classes"] = "softmax"
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
        """Raise RecipeError unless there is one output, of maps or of classes as `scores` says."""
        shapes = [output.shape for output in outputs]
        if self.scores == "classes":
            self._check_classes(outputs)
            return
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] != 1:
            rule = "'segment' needs one output (1, classes, height, width)"
            raise RecipeError(f"task: {rule}, got {shapes}")
        labels, maps = len(self.labels), shapes[0][1]
        wanted = 1 if self.scores == "sigmoid" else labels
        if maps != wanted and not (self.scores == "none" and (labels, maps) == (2, 1)):
            rule = f"must have {wanted} maps where scores are {self.scores!r} and labels are"
            raise RecipeError(f"task: the output {rule} {labels}, got {maps}")

    def _check_classes(self, outputs: tuple[TensorSpec, ...]) -> None:
        fits = len(outputs) == 1 and outputs[0].dtype in _WHOLE
        if not fits or outputs[0].shape[:-2] not in ((1,), (1, 1)):
            rule = "needs one output (1, height, width) of whole numbers where scores are 'classes'"
            got = [f"{output.shape} of {output.dtype}" for output in outputs]
            raise RecipeError(f"task: 'segment' {rule}, got {got}")

    def decode(
        self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None
    ) -> "Segmentation":
        """The classes, at the size of the picture that came in; worked out when looked at."""
        frame = need_frame(frame, self.name)
        output = outputs[0]
        return Segmentation(self, output.reshape(-1, *output.shape[-2:]), frame)

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the probabilities of every pixel."""
        joined = replace(self, scores="none")
        return Blending(
            kind="pixels",
            same={"labels": self.labels},
            take=lambda result: (result.where_known,),
            give=lambda arrays: Segmentation.of(joined, arrays[0]),
            unheard=("scores",),
            scored=Blending(
                kind="pixels",
                same={"labels": self.labels},
                take=lambda result: (result.classes,),
                give=lambda arrays: Segmentation.of_classes(self, arrays[0]),
            ),
        )


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """What every pixel of one picture shows: an immutable value.

    Attributes:
        task: says what the classes are.
        output: `(maps, h, w)`, or `(1, h, w)` of classes, what the network gave; it must not
            change afterwards.
        frame: of the picture.
    """

    task: Segment
    output: NDArray[Any]
    frame: Frame

    @classmethod
    def of(cls, task: Segment, probabilities: NDArray[np.float32]) -> "Segmentation":
        """That of probabilities which are known at every pixel, or NaN where nobody looked.

        Args:
            task: with scores "none".
            probabilities: `(classes, H, W)`.
        """
        result = cls(task, probabilities, Frame.whole(*probabilities.shape[1:]))
        looked = ~np.isnan(probabilities[0])
        known = np.where(looked, probabilities, np.float32(0))
        classes = np.where(looked, known.argmax(axis=0), IGNORED).astype(np.uint8)
        for array in (known, classes):
            array.flags.writeable = False
        # What is known need not be worked out when it is looked at.
        vars(result).update(probabilities=known, classes=classes)
        return result

    @classmethod
    def of_classes(cls, task: Segment, classes: NDArray[np.uint8]) -> "Segmentation":
        """That of which no more than the classes is known: probabilities of 0 and 1.

        Args:
            task: says what the classes are.
            classes: `(H, W)`, 255 where nobody looked.
        """
        known = np.where(classes == IGNORED, np.uint8(0), classes)[None]
        result = cls(replace(task, scores="classes"), known, Frame.whole(*classes.shape))
        vars(result)["classes"] = classes
        return result

    @property
    def where_known(self) -> NDArray[np.float32]:
        """`probabilities`, NaN where nobody looked."""
        unknown = self.classes == IGNORED
        if not unknown.any():
            return self.probabilities
        return np.where(unknown, np.float32(np.nan), self.probabilities)

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """The class of every pixel, `(H, W)`; of equal ones, the first; 255 where nobody looked.

        Raises:
            OutputError: the network names a class by a number that no label has.
        """
        if self.task.scores == "classes":
            classes = self._named()
        else:
            shown = map(self._best, bands(self.output, self.frame))
            classes = np.concatenate([best.astype(np.uint8) for best in shown])
        classes[~looked_at(self.frame)] = IGNORED
        classes.flags.writeable = False
        return classes

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """How likely every pixel is of each class: `(classes, H, W)`, in 0..1.

        Outputs are brought to the size of the picture before they become probabilities. Where
        nobody looked, those of the nearest pixel.
        """
        maps: NDArray[np.float32]
        if self.task.scores == "classes":
            numbers = np.arange(len(self.task.labels))[:, None, None]
            maps = (self._named() == numbers).astype(np.float32)
        else:
            maps = resample(self.output, self.frame)
        if self.task.scores == "softmax":
            maps = softmax(maps)
        elif self.task.scores == "sigmoid":
            maps = sigmoid(maps)
        if len(maps) == 1:
            maps = np.concatenate((np.float32(1.0) - maps, maps))
        maps.flags.writeable = False
        return maps

    def _best(self, maps: NDArray[np.float32]) -> NDArray[Any]:
        """`(C, h, w)` to `(h, w)`."""
        if len(maps) > 1:
            return np.asarray(maps.argmax(axis=0))
        return np.asarray(maps[0] > (0.0 if self.task.scores == "sigmoid" else 0.5))

    def _named(self) -> NDArray[np.uint8]:
        least, greatest = int(self.output.min()), int(self.output.max())
        last = len(self.task.labels) - 1
        if least < 0 or greatest > last:
            got = least if least < 0 else greatest
            raise OutputError(f"segment: numbers of classes must be in 0..{last}, got {got}")
        return nearest(self.output[0], self.frame).astype(np.uint8)

    @property
    def shares(self) -> dict[str, float]:
        """Of how many of all pixels each class is, in 0..1, by its name."""
        labels = self.task.labels
        counts = np.bincount(self.classes.reshape(-1), minlength=len(labels))[: len(labels)]
        return {
            label: float(count) / self.classes.size
            for label, count in zip(labels, counts.tolist(), strict=True)
        }

    @property
    def colored(self) -> NDArray[np.uint8]:
        """`(H, W, 3)`: every pixel in the colour of its class, black where nobody looked."""
        count = len(self.task.labels)
        colors = np.zeros((IGNORED + 1, 3), np.uint8)
        colors[:count] = self.task.colors or tuple(map(color_of, range(count)))
        return colors[self.classes]

    def marks(self) -> tuple[Mark, ...]:
        """The colours of all classes but the background."""
        drawn = self.classes != IGNORED
        if self.task.background is not None:
            drawn &= self.classes != self.task.background
        return (Overlay(self.colored, drawn.astype(np.float32) * 0.5),)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints: the shares, and the classes row by row.

        A row is a list of runs, `[class, length]`, from left to right; 255 where nobody looked.
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
