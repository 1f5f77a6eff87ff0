"""How often each duration came, in classes that never change."""

from msgspec import Struct

from edgeprep.errors import InputError

__all__ = ["BOUNDS_MS", "Histogram"]

# 1, 2 and 5 of each power of ten, from what a small network takes on a desktop to a worker's time
# limit. The same for everybody, so that those of many devices can be added up.
BOUNDS_MS = tuple(
    digit * power for power in (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4) for digit in (1, 2, 5)
)


class Histogram(Struct, frozen=True, kw_only=True):
    """Durations by class, at one moment.

    Attributes:
        counts: how many were at most each of `BOUNDS_MS`, and above the one before it; and last,
            how many were above them all.
        sum_ms: all of them together.
    """

    counts: tuple[int, ...]
    sum_ms: float

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    @property
    def mean_ms(self) -> float:
        """Their mean; 0 where there were none."""
        return self.sum_ms / max(self.count, 1)

    def quantile_ms(self, share: float) -> float:
        """About what `share` of them were at most: exact at the bounds, straight between them.

        Args:
            share: 0 to 1; 0.5 asks for the median.

        Returns:
            0 where there were none; the last bound where it lies above all of them.

        Raises:
            InputError: `share` is no such number.
        """
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise InputError(f"share: must be a number from 0 to 1, got {share!r}")
        wanted, below = share * self.count, 0
        for upper, lower, count in zip(BOUNDS_MS, (0.0, *BOUNDS_MS), self.counts, strict=False):
            if count and below + count >= wanted:
                return lower + (upper - lower) * (wanted - below) / count
            below += count
        return BOUNDS_MS[-1] if below < self.count else 0.0

    def to_json(self) -> dict[str, object]:
        """Plain values; bounds are those of `BOUNDS_MS` and none."""
        return {
            "count": self.count,
            "sum_ms": self.sum_ms,
            "mean_ms": self.mean_ms,
            "median_ms": self.quantile_ms(0.5),
            "p90_ms": self.quantile_ms(0.9),
            "p99_ms": self.quantile_ms(0.99),
            "counts": self.counts,
        }
