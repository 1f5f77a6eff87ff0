"""Calibration data that would give ranges for other pictures than those to come."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import DataError

__all__ = ["check_calibration"]

# Of two means, in levels of 255. Day and night of one camera differ by less; one data set that was
# read in another way, or scaled, by more.
_DARKER = 2.0


def check_calibration(
    calibration: NDArray[np.uint8],
    evaluation: NDArray[np.uint8] | None = None,
    *,
    where: str = "data.calibration",
) -> str:
    """A warning that calibration pictures are unlike those they stand for; "" where they are not.

    Args:
        calibration: `(samples, H, W, C)`, uint8, as the graph takes them; one at least.
        evaluation: the same, of other pictures; None where there are none.
        where: the path of the data in the recipe, for messages.

    Raises:
        DataError: no picture shows anything: all are of one colour each, or scaled to 0 and 1, as
            those for evaluation are not.
    """
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
    if evaluation is None or not len(evaluation):
        return ""
    mean, other = (
        float(np.mean([sample.mean() for sample in data])) for data in (calibration, evaluation)
    )
    darker, brighter = sorted((mean, other))
    if brighter <= _DARKER * darker:
        return ""
    kind = "darker" if mean < other else "brighter"
    return (
        f"calibration is far {kind} than evaluation, {mean:.0f} of 255 on average against "
        f"{other:.0f}; ranges that fit it may not fit what comes"
    )


def _reach_no_further(evaluation: NDArray[np.uint8] | None) -> bool:
    """Whether there are pictures for evaluation, and they are 0 and 1 too: then that is right."""
    return evaluation is not None and all(sample.max() <= 1 for sample in evaluation)


def _is_flat(sample: NDArray[np.uint8]) -> bool:
    pixels = sample.reshape(-1, sample.shape[-1])
    return bool((pixels == pixels[0]).all())
