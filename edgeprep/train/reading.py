"""All data of a training, read before it begins."""

from collections.abc import Sequence

import numpy as np

from edgeprep.data import Progress, warn, warning_of_skipped
from edgeprep.errors import DataError
from edgeprep.train.data import TrainingData
from edgeprep.train.overlap import overlaps
from edgeprep.truths import IGNORED, Boxes, Map, Mask, Truth

__all__ = ["read_data"]


def read_data(data: TrainingData, progress: Progress) -> tuple[str, ...]:
    """Read `data`, and warn of pictures that are unreadable or in two kinds of data: the warnings.

    Args:
        data: what is learned from and chosen by, and what it is tested on.
        progress: is told of what there is, and of every warning that it was not told before.

    Raises:
        DataError: the data break a rule.
        StorageError: they cannot be written to temporary files.
    """
    with progress("read the training data") as done:
        _check_told(data.supply.labels, data.training.where)
        digests = {data.training.where: data.supply.digests}
        line = f"{len(data.supply)} pictures to learn from"
        left_out = {data.training.where: data.supply.skipped}
        if data.held_out is not None:
            digests["data.validation"] = data.held_out.digests
            left_out["data.validation"] = data.held_out.skipped
            line += f", {len(data.held_out)} to choose by"
        done(line)
    unreadable = tuple(
        warning_of_skipped(names, where) for where, names in left_out.items() if names
    )
    if data.tested.digests is not None:
        digests["data.evaluation"] = data.tested.digests
    warnings = (*unreadable, *overlaps(digests))
    for warning in data.tested.untold(warnings):
        warn(progress, warning)
    return warnings


def _check_told(labels: Sequence[Truth | None], where: str) -> None:
    """Refuse labels of which none says anything: the loss would move nothing."""
    if any(map(_tells, labels)):
        return
    kinds: dict[type, str] = {Boxes: "objects", Mask: "pixels of a class", Map: "known pixels"}
    what = next((kinds[type(label)] for label in labels if type(label) in kinds), None)
    if what is not None:
        rule = f"must have {what} to learn from"
        raise DataError(f"{where}: {rule}, got none in {len(labels)} pictures")


def _tells(label: Truth | None) -> bool:
    match label:
        case Boxes():
            return not label.crowd.all()
        case Mask():
            return bool((label.classes != IGNORED).any())
        case Map():
            return bool(np.isfinite(label.values).any())
    return True
