"""All data of a training, read before it begins."""

from edgeprep.data import Progress
from edgeprep.train.data import TrainingData
from edgeprep.train.overlap import overlaps

__all__ = ["read_data"]


def read_data(data: TrainingData, progress: Progress) -> tuple[str, ...]:
    """Read `data`, and warn where kinds of data share pictures: the warnings.

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
        if data.held_out is not None:
            digests["data.validation"] = data.held_out.digests
            line += f", {len(data.held_out)} to choose by"
        done(line)
    if data.tested.digests is not None:
        digests["data.evaluation"] = data.tested.digests
    warnings = overlaps(digests)
    for warning in data.tested.untold(warnings):
        with progress("compare the data") as done:
            done(warning)
    return warnings
