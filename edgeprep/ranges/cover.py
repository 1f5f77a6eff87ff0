"""How a range fits the values that were counted."""

from edgeprep.interfaces import RangeCoverage, RangeUse
from edgeprep.ranges.histogram import ZERO, Histogram

__all__ = ["measure_coverage"]


def measure_coverage(
    tensor: str,
    module: str,
    ends: tuple[float, float],
    calibration: Histogram,
    evaluation: Histogram | None = None,
    *,
    levels: int = 256,
) -> RangeCoverage:
    """What counted values make of a range.

    Args:
        tensor: its name in the float graph.
        module: the path of what computes it, as recipes spell it; "" where nothing tells.
        ends: what the first and the last step stand for.
        calibration: of at least one value.
        evaluation: of at least one value, too; None where there was nothing to count.
        levels: how many steps there are.
    """
    low, high = ends
    return RangeCoverage(
        tensor=tensor,
        module=module,
        low=low,
        high=high,
        calibration=_use(calibration, low, high, levels),
        evaluation=None if evaluation is None else _use(evaluation, low, high, levels),
    )


def _use(histogram: Histogram, low: float, high: float, levels: int) -> RangeUse:
    half = (high - low) / (levels - 1) / 2
    at_ends = histogram.share_outside(low + half, high - half)
    if not low + half <= 0 <= high - half:
        zeros = histogram.counts[ZERO - 1 : ZERO + 1].sum()
        at_ends = max(at_ends - float(zeros) / histogram.total, 0.0)
    return RangeUse(
        low=histogram.low,
        high=histogram.high,
        # NOTE: ends are computed from a scale and a zero point, and values lie at an end by the
        # thousand. Within half a step of it, they round to it as others do to their steps.
        clipped=histogram.share_outside(low - half, high + half),
        saturated=at_ends,
    )
