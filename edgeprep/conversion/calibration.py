"""Calibration data that would give ranges for other pictures than those to come."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.data import Prepared
from edgeprep.errors import DataError
from edgeprep.train.overlap import overlaps

__all__ = ["check_calibration"]

# Of two means, in levels of 255. Day and night of one camera differ by less; one data set that was
# read in another way, or scaled, by more.
_DARKER = 2.0
# Fewer, and a single strange picture decides ranges; a hundred cost seconds.
_FEWEST = 8


def check_calibration(
    calibration: Prepared,
    evaluation: Prepared | None = None,
    *,
    where: str = "data.calibration",
    other: str = "data.evaluation",
) -> tuple[str, ...]:
    """Warnings of calibration pictures that are few, or unlike those they stand for, or the same.

    Args:
        calibration: as the graph takes them; one at least.
        evaluation: other pictures; None where there are none.
        where: the path of the calibration data in the recipe, for messages.
        other: that of the other pictures.

    Raises:
        DataError: no picture shows anything: all are of one colour each, or scaled to 0 and 1, as
            those for evaluation are not.
    """
    seen = None if evaluation is None else evaluation.inputs
    _check_pixels(calibration.inputs, seen, where)
    warnings = []
    if len(calibration) < _FEWEST:
        warnings.append(
            f"{where} has few pictures, {len(calibration)}; ranges of values from so few may not "
            "fit what comes, give 100 or more"
        )
    if evaluation is not None and len(evaluation):
        warnings += _brightness(calibration.inputs, evaluation.inputs)
        digests = {where: calibration.digests, other: evaluation.digests}
        warnings += overlaps(digests)
    return tuple(warnings)


def _check_pixels(
    calibration: NDArray[np.uint8], evaluation: NDArray[np.uint8] | None, where: str
) -> None:
    count = len(calibration)
    least = min(int(sample.min()) for sample in calibration)
    greatest = max(int(sample.max()) for sample in calibration)
    flat = sum(_is_flat(sample) for sample in calibration)
    if flat == count:
        raise DataError(
            f"{where}: must show more than one colour a picture, got {count} of {count} pictures "
            f"without a difference between pixels, from {least} to {greatest}"
        )
    if greatest <= 1 and not _reach_no_further(evaluation):
        raise DataError(
            f"{where}: must hold pixels in 0..255, got {least}..{greatest} in {count} pictures; "
            "give them as they are, since the preprocessing scales them"
        )


def _brightness(calibration: NDArray[np.uint8], evaluation: NDArray[np.uint8]) -> list[str]:
    mean, other = (
        float(np.mean([sample.mean() for sample in data])) for data in (calibration, evaluation)
    )
    darker, brighter = sorted((mean, other))
    if brighter <= _DARKER * darker:
        return []
    kind = "darker" if mean < other else "brighter"
    warning = (
        f"calibration is far {kind} than evaluation, {mean:.0f} of 255 on average against "
        f"{other:.0f}; ranges that fit it may not fit what comes"
    )
    return [warning]


def _reach_no_further(evaluation: NDArray[np.uint8] | None) -> bool:
    """Whether there are pictures for evaluation, and they are 0 and 1 too: then that is right."""
    return evaluation is not None and all(sample.max() <= 1 for sample in evaluation)


def _is_flat(sample: NDArray[np.uint8]) -> bool:
    pixels = sample.reshape(-1, sample.shape[-1])
    return bool((pixels == pixels[0]).all())
