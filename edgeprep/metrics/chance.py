"""What answers score that were given without a look."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Task
from edgeprep.metrics.metric import Metric
from edgeprep.tasks.classify import Classify
from edgeprep.truths import IGNORED, Boxes, Classes, Mask, Truth, TruthKind

__all__ = ["compare_with_chance", "has_chance"]

# An answer in words, and what it scores.
Blind = tuple[str, float]


def compare_with_chance(
    task: Task, metric: Metric, labels: Sequence[Truth | None], score: float
) -> str:
    """That a `score` is no better than that of one answer for all, in words; "" where it is better.

    The answer is the commonest class, or set of classes, or that of most pixels, and no object; of
    neighbours it is what drawing them by lot finds.

    Args:
        task: what is scored. Nothing is said of pictures and maps: what pictures score as they come
            is no matter of labels, and no one number is an answer to what has a unit.
        metric: by which.
        labels: one a sample.
        score: of a network, on the same samples.
    """
    if not has_chance(task) or not metric.higher_is_better:
        return ""
    kind, blindly = _ANSWERS[task.truth]
    known = [label for label in labels if isinstance(label, kind)]
    blind = blindly(task, metric, known) if known else None
    # Where everything is the same, that answer is right.
    if blind is None or score > blind[1] or blind[1] >= 1.0:
        return ""
    answer, chance = blind
    return f"{metric.name} {score:.4f}, no better than {answer}, which scores {chance:.4f}"


def has_chance(task: Task) -> bool:
    """Whether there is such an answer to what `task` asks."""
    return task.truth in _ANSWERS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Named:
    """A result of several classes, the same for all samples."""

    present: NDArray[np.bool_]

    @property
    def scores(self) -> NDArray[np.float64]:
        return self.present.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Painted:
    """A result that is of one class all over."""

    classes: NDArray[np.uint8]


class _AllPainted(Sequence[Any]):
    """Such results for `masks`, each made when it is asked for: many fill the memory."""

    def __init__(self, masks: Sequence[Mask], number: int) -> None:
        self._masks, self._number = masks, number

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, index: Any) -> Any:
        return _Painted(classes=np.full_like(self._masks[index].classes, self._number))

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))


def _of_class(task: Task, metric: Metric, known: Sequence[int]) -> Blind | None:
    counts = Counter(known)
    if metric.name.startswith("recall-at-"):
        return _of_neighbours(int(metric.name.removeprefix("recall-at-")), counts)
    # Of one class, there may be nothing to put in order.
    if not isinstance(task, Classify) or len(counts) < 2:
        return None
    ((commonest, _),) = counts.most_common(1)
    output = np.eye(len(task.labels), dtype=np.float32)[commonest : commonest + 1]
    answers = [task.decode((output,))] * len(known)
    return f"always answering {task.labels[commonest]!r}", metric.score(answers, known)


def _of_neighbours(k: int, counts: Mapping[int, int]) -> Blind | None:
    """The share that has one of its class among `k` others that are drawn by lot."""
    total = sum(counts.values())
    pairs = [count for count in counts.values() if count > 1]
    if not pairs:
        return None
    draws = comb(total - 1, min(k, total - 1))
    missed = sum(count * comb(total - count, min(k, total - 1)) / draws for count in pairs)
    return "neighbours that are drawn by lot", 1.0 - missed / sum(pairs)


def _of_classes(task: Task, metric: Metric, known: Sequence[Classes]) -> Blind | None:
    truths = np.stack([each.present for each in known])
    if not truths.any():
        return None
    rows, counts = np.unique(truths, axis=0, return_counts=True)
    labels = getattr(task, "labels", ())
    # For a mean of F1, naming everything is better than the commonest set.
    sets = (rows[counts.argmax()], np.ones(truths.shape[1], np.bool_))
    scored = [
        (metric.score([_Named(present=present)] * len(known), known), present) for present in sets
    ]
    chance, present = max(scored, key=lambda each: each[0])
    names = ", ".join(repr(labels[index]) for index in np.flatnonzero(present))
    return f"always answering {names or 'no class'}", chance


def _of_pixels(task: Task, metric: Metric, known: Sequence[Mask]) -> Blind | None:
    counts = np.zeros(256, np.int64)
    for mask in known:
        counts += np.bincount(mask.classes.reshape(-1), minlength=256)
    counts[IGNORED] = 0
    if not counts.any():
        return None
    number = int(counts.argmax())
    name = getattr(task, "labels", ())[number]
    return f"taking every pixel for {name!r}", metric.score(_AllPainted(known, number), known)


def _of_objects(task: Task, metric: Metric, known: Sequence[Boxes]) -> Blind | None:
    return "finding nothing", 0.0


_ANSWERS: Mapping[TruthKind | None, tuple[type, Callable[[Task, Metric, Any], Blind | None]]] = {
    "class": (int, _of_class),
    "classes": (Classes, _of_classes),
    "mask": (Mask, _of_pixels),
    "boxes": (Boxes, _of_objects),
}
