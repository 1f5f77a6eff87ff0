"""The objects that were found in a picture: what the task `detect` gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.marks import Mark, Rectangle, color_of

__all__ = ["Detection", "Detections"]


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One object.

    Attributes:
        label: the name of its class.
        index: the number of its class.
        score: in 0..1.
        box: least x, least y, greatest x, greatest y in pixels of the picture that came in.
    """

    label: str
    index: int
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections(Sequence[Detection]):
    """The objects of one picture, the best first; an immutable value.

    Attributes:
        labels: the names of all classes.
        boxes: `(objects, 4)`, float64: least x, least y, greatest x, greatest y in pixels.
        scores: `(objects,)`, float32, in 0..1.
        classes: `(objects,)`, int64.
    """

    labels: tuple[str, ...]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("boxes", "scores", "classes"):
            # A view, so that an array of the caller's stays as it is.
            array = getattr(self, name).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @cached_property
    def objects(self) -> tuple[Detection, ...]:
        """Each object, the best first."""
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.classes.tolist(), strict=True)
        return tuple(
            Detection(label=self.labels[index], index=index, score=score, box=tuple(box))
            for box, score, index in rows
        )

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Detection, ...]: ...
    def __getitem__(self, index: int | slice) -> Detection | tuple[Detection, ...]:
        return self.objects[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Detections) and self.objects == other.objects

    def __hash__(self) -> int:
        return hash(self.objects)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {
            "objects": [
                {"label": one.label, "index": one.index, "score": one.score, "box": list(one.box)}
                for one in self.objects
            ]
        }

    def marks(self) -> tuple[Mark, ...]:
        """A rectangle for each object, the best one drawn last."""
        return tuple(
            Rectangle(one.box, f"{one.label} {one.score:.2f}", color_of(one.index))
            for one in reversed(self.objects)
        )

    def __str__(self) -> str:
        if not len(self):
            return "nothing"
        return ", ".join(f"{one.label} ({one.score:.2f})" for one in self.objects)

    def __repr__(self) -> str:
        return f"Detections({self})"
