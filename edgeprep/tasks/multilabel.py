"""Any number of classes for each picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task
from edgeprep.tasks.activation import sigmoid
from edgeprep.tasks.classify import Label, check_labels
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["MultiLabel", "MultiLabels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabel(Task):
    """Networks with one output `(1, classes)`: each class is there or not, for itself.

    Attributes:
        labels: the name of each class, in the order of the output.
        scores: how outputs become scores: "sigmoid" of each, or "none" for networks that end with
            probabilities.
        least_score: from which score on a class is there.
    """

    name: ClassVar[str] = "multilabel"
    metrics: ClassVar[tuple[str, ...]] = (
        "average-precision",
        "label-f1-macro",
        "label-f1-micro",
        "subset-accuracy",
    )
    truth: ClassVar[TruthKind | None] = "classes"
    objective: ClassVar[str] = "edgeprep.train.objectives:EachCrossEntropy"

    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    scores: Literal["sigmoid", "none"] = "sigmoid"
    least_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5

    def __post_init__(self) -> None:
        check_labels(self.labels)

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless there is one output `(1, classes)`, with a label a class."""
        shapes = [output.shape for output in outputs]
        if shapes != [(1, len(self.labels))]:
            wanted = f"one output (1, {len(self.labels)}), with a value for each label"
            raise RecipeError(f"task: 'multilabel' needs {wanted}, got {shapes}")

    def decode(
        self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None
    ) -> "MultiLabels":
        """The classes; they are worked out when they are looked at."""
        return MultiLabels(self, outputs[0][0])

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the scores, and by what is there."""
        joined = replace(self, scores="none")
        return Blending(
            kind="classes",
            same={"labels": self.labels},
            take=lambda result: (result.scores, result.present),
            give=lambda arrays: MultiLabels(joined, *arrays),
            unheard=("scores",),
        )


@dataclass(frozen=True, eq=False, repr=False)
class MultiLabels:
    """What one picture shows: an immutable value.

    Attributes:
        task: says what the classes are.
        output: `(classes,)`, what the network gave; it must not change afterwards.
        decided: `(classes,)`, which classes are there where scores do not say it, as after a vote.
    """

    task: MultiLabel
    output: NDArray[Any]
    decided: NDArray[np.bool_] | None = None

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """The score of every class: `(classes,)`, in 0..1."""
        values = self.output.astype(np.float64)
        if self.task.scores == "sigmoid":
            values = sigmoid(values)
        values.flags.writeable = False
        return values

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which classes are there: `(classes,)`."""
        if self.decided is not None:
            return self.decided
        return np.asarray(self.scores >= self.task.least_score)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes that are there, the most certain first."""
        order = np.argsort(-self.scores, kind="stable")
        return tuple(
            Label(name=self.task.labels[index], index=index, score=float(self.scores[index]))
            for index in order.tolist()
            if self.present[index]
        )

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {
            "labels": [
                {"name": one.name, "index": one.index, "score": one.score} for one in self.labels
            ]
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MultiLabels) and self.labels == other.labels

    def __hash__(self) -> int:
        return hash(self.labels)

    def __str__(self) -> str:
        return ", ".join(f"{one.name} ({one.score:.2f})" for one in self.labels) or "nothing"

    def __repr__(self) -> str:
        return f"MultiLabels({self})"
