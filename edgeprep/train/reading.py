"""All data of a training, read before it begins."""

from edgeprep.data import Prepared, Progress
from edgeprep.train.data import TrainingData
from edgeprep.train.overlap import overlaps

__all__ = ["read_data"]


def read_data(
    data: TrainingData, progress: Progress, tested: Prepared | None = None
) -> tuple[str, ...]:
    """Read `data`, and warn where kinds of data share pictures: the warnings.

    Args:
        data: what is learned from and chosen by.
        progress: is told of what there is, and of every warning.
        tested: the evaluation data; None where they are no matter.

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
    if tested is not None:
        digests["data.evaluation"] = tested.digests
    warnings = overlaps(digests)
    for warning in warnings:
        with progress("compare the data") as done:
            done(warning)
    return warnings
