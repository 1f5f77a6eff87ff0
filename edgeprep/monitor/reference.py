"""What pictures and answers are like: made at a conversion, for the device to compare with."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Reference, Spread
from edgeprep.interfaces import Placement, Task
from edgeprep.monitor.statistics import FEATURES, look
from edgeprep.tensors import Color

__all__ = ["FEWEST", "classes_of", "count_classes", "make_reference"]

# The least of so few pictures is undercut by one in 17 that are like them; of fewer, too often.
FEWEST = 16
_SHARE = 0.01
_DIGITS = 6  # more is noise, and bytes in every bundle

Find = Callable[[Any], Sequence[int]]


def make_reference(
    pictures: Iterable[NDArray[np.uint8]],
    color: Color,
    *,
    placement: Placement,
    classes: Sequence[int] = (),
) -> Reference | None:
    """What `pictures` are like; None where they are too few to say.

    Args:
        pictures: `(H, W, C)` each, uint8, as graphs of the placement take them.
        color: what their channels mean.
        placement: which one.
        classes: how often each class was found; see `count_classes`.
    """
    numbers = [look(picture, color) for picture in pictures]
    if len(numbers) < FEWEST:
        return None
    features = dict[str, Spread]()
    for name, column in zip(FEATURES, np.array(numbers, np.float64).T, strict=True):
        present = column[np.isfinite(column)]
        if len(present) >= FEWEST:
            features[name] = _spread(present)
    return Reference(
        placement=placement, pictures=len(numbers), features=features, classes=tuple(classes)
    )


def _spread(values: NDArray[np.float64]) -> Spread:
    quantiles = np.quantile(values, (_SHARE, 0.5, 1 - _SHARE))
    numbers = (*quantiles, values.mean(), values.std())
    low, middle, high, mean, deviation = (round(float(each), _DIGITS) for each in numbers)
    return Spread(low=low, middle=middle, high=high, mean=mean, deviation=deviation)


def classes_of(task: Task) -> Find | None:
    """What gives the numbers of the classes in a result: one, some or none; None: it has none."""
    blending = task.blending
    if blending is None or blending.kind not in ("class", "classes", "boxes"):
        return None
    kind, take = blending.kind, blending.take

    def find(result: Any) -> Sequence[int]:
        arrays = take(result)
        if kind == "class":
            return (int(arrays[0].argmax()),)
        if kind == "classes":
            present: list[int] = np.flatnonzero(arrays[1]).tolist()
            return present
        boxes: list[int] = arrays[2].tolist()
        return boxes

    return find


def count_classes(task: Task, results: Iterable[Any]) -> tuple[int, ...]:
    """How often each class is in `results`, by its number; () where the task has no classes."""
    find = classes_of(task)
    if find is None:
        return ()
    found = [number for result in results for number in find(result)]
    counts: list[int] = np.bincount(np.array(found, np.int64)).tolist()
    return tuple(counts)
