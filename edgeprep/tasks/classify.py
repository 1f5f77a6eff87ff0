"""One class for each picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task
from edgeprep.tasks.activation import sigmoid, softmax
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Classification", "Classify", "Label", "check_labels"]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One class that a picture may be of; `score` is in 0..1 unless scores are "none"."""

    name: str
    index: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify(Task):
    """Networks with one output `(1, classes)`, a logit or a probability for each class.

    Attributes:
        labels: the name of each class, in the order of the output.
        top: how many of the best classes a result lists.
        scores: how outputs become scores: "softmax" over the classes, "sigmoid" of each, or
            "none" for networks that end with probabilities.
    """

    name: ClassVar[str] = "classify"
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "top-5",  # stands for every top-k
        "precision-macro",
        "precision-micro",
        "recall-macro",
        "recall-micro",
        "f1-macro",
        "f1-micro",
        "roc-auc",
        "calibration-error",
    )
    truth: ClassVar[TruthKind | None] = "class"
    objective: ClassVar[str] = "edgeprep.train.objectives:CrossEntropy"

    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    top: Annotated[int, msgspec.Meta(ge=1)] = 5
    scores: Literal["softmax", "sigmoid", "none"] = "softmax"

    def __post_init__(self) -> None:
        check_labels(self.labels)

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless there is one output `(1, classes)`, with a label a class."""
        shapes = [output.shape for output in outputs]
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 1:
            raise RecipeError(f"task: {self.name!r} needs one output (1, classes), got {shapes}")
        if shapes[0][1] != len(self.labels):
            rule = f"must name each of the network's {shapes[0][1]} classes"
            raise RecipeError(f"task.labels: {rule}, got {len(self.labels)} labels")

    def decode(
        self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None
    ) -> "Classification":
        """The result; it is worked out when it is looked at."""
        return Classification(self, outputs[0][0])

    def decided(self, outputs: tuple[NDArray[Any], ...]) -> float:
        """See `Task.decided`: what the second best class is behind the best one."""
        values = outputs[0][0].astype(np.float64)
        second, best = np.partition(values, -2)[-2:]
        largest = np.max(np.abs(values))
        return float((best - second) / largest) if largest else 0.0

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the scores."""
        joined = replace(self, scores="none")
        return Blending(
            kind="class",
            same={"labels": self.labels},
            take=lambda result: (result.scores,),
            give=lambda arrays: Classification(joined, arrays[0]),
            unheard=("scores",),
        )


class Classification:
    """What one picture shows: an immutable value, equal to another with the same labels.

    Most applications look at the best label only, in a loop that has microseconds to spare: so
    nothing is computed before it is asked for.
    """

    __slots__ = ("_output", "_ranked", "_task")

    def __init__(self, task: Classify, output: NDArray[Any]) -> None:
        """`output` is `(classes,)`; it must not change afterwards."""
        self._task = task
        self._output = output
        self._ranked: tuple[Label, ...] | None = None

    @property
    def index(self) -> int:
        """The number of the best class; of equal ones, the first."""
        return int(self._output.argmax())

    @property
    def label(self) -> str:
        """The name of the best class."""
        return self._task.labels[self.index]

    @property
    def score(self) -> float:
        """The score of the best class."""
        return self.labels[0].score

    @property
    def labels(self) -> tuple[Label, ...]:
        """The best classes, at most the task's `top`, the best first."""
        if self._ranked is None:
            scores = self.scores
            self._ranked = tuple(
                Label(name=self._task.labels[index], index=index, score=float(scores[index]))
                for index in self.ranking[: self._task.top].tolist()
            )
        return self._ranked

    @property
    def scores(self) -> NDArray[np.float64]:
        """The score of every class: `(classes,)`, in the order of the task's labels."""
        return _scores(self._output.astype(np.float64), self._task.scores)

    @property
    def ranking(self) -> NDArray[np.int64]:
        """The numbers of all classes: `(classes,)`, the best first; of equal ones, the first.

        By the outputs themselves: scores of very different outputs may be the same float64.
        """
        # Stable, so that of equal classes the first comes first, as in `index`.
        return np.argsort(-self._output.astype(np.float64), kind="stable")

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        labels = [
            {"name": label.name, "index": label.index, "score": label.score}
            for label in self.labels
        ]
        return {"label": self.label, "score": self.score, "labels": labels}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classification) and self.labels == other.labels

    def __hash__(self) -> int:
        return hash(self.labels)

    def __str__(self) -> str:
        return f"{self.label} ({self.score:.4f})"

    def __repr__(self) -> str:
        return f"Classification(label={self.label!r}, score={self.score:.4f})"


def _scores(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """The scores `(classes,)` of the outputs `values`."""
    if kind == "softmax":
        return softmax(values)
    return sigmoid(values) if kind == "sigmoid" else values


def check_labels(labels: tuple[str, ...]) -> None:
    """Refuse names of classes of which two are the same.

    Raises:
        ValueError: two are.
    """
    seen: dict[str, int] = {}
    for index, label in enumerate(labels):
        if seen.setdefault(label, index) != index:
            rule = f"must differ from labels[{seen[label]}]"
            raise ValueError(f"labels[{index}]: {rule}, got {label!r}")
