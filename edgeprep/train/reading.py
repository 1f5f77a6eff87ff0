"""All data of a training, read before it begins."""

from edgeprep.data import Progress, warn
from edgeprep.schema import name_first
from edgeprep.train.data import TrainingData
from edgeprep.train.overlap import overlaps

__all__ = ["read_data"]

_NAMED = 3  # so many unreadable pictures are named; the rest are counted


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
        digests = {data.training.where: data.supply.digests}
        line = f"{len(data.supply)} pictures to learn from"
        left_out = {data.training.where: data.supply.skipped}
        if data.held_out is not None:
            digests["data.validation"] = data.held_out.digests
            left_out["data.validation"] = data.held_out.skipped
            line += f", {len(data.held_out)} to choose by"
        done(line)
    unreadable = tuple(
        f"{where}: {len(names)} unreadable left out: {name_first(_NAMED, names)}"
        for where, names in left_out.items()
        if names
    )
    if data.tested.digests is not None:
        digests["data.evaluation"] = data.tested.digests
    warnings = (*unreadable, *overlaps(digests))
    for warning in data.tested.untold(warnings):
        warn(progress, warning)
    return warnings
