"""How a range fits the values that were counted."""

from edgeprep.interfaces import RangeUse
from edgeprep.ranges.histogram import ZERO, Histogram

__all__ = ["measure_use"]


def measure_use(histogram: Histogram, low: float, high: float, *, levels: int = 256) -> RangeUse:
    """What the counted values make of the range from `low` to `high`.

    Args:
        histogram: of at least one value.
        low: what the first step stands for.
        high: what the last step stands for.
        levels: how many steps there are.
    """
    half = (high - low) / (levels - 1) / 2
    zeros = int(histogram.counts[ZERO - 1 : ZERO + 1].sum()) / histogram.total
    ends = histogram.share_outside(low + half, high - half)
    if not low + half <= 0 <= high - half:
        ends -= zeros
    return RangeUse(
        low=histogram.low,
        high=histogram.high,
        clipped=histogram.share_outside(low, high),
        saturated=max(ends, 0.0),
    )
