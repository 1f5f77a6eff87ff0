"""The smallest ratio of channels that makes a network as small, or as quick, as is asked for."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edgeprep.compress._share import Kept
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.files import atomic_write
from edgeprep.interfaces import Workbench

__all__ = ["find_fewest", "find_speedup"]

_LARGEST = 0.98
_MEASUREMENTS = 10
_CONFIRMING = 3  # so many of them are kept for measuring once more what was quick enough
# Measured speedups of one network differ by a few percent from one run to the next: what is aimed
# at, and what is near enough, as multiples of what is asked for.
_AIM = 1.03
_NEAR = 1.07
_FINEST = 0.01  # ratios that differ by less are the same


def find_fewest(share: Callable[[float], Kept], count: Callable[[Kept], int], most: int) -> Kept:
    """What groups keep at about the smallest ratio that leaves at most `most` parameters.

    Raises:
        RecipeError: more of them stay at any ratio.
    """
    kept = share(_LARGEST)
    if (fewest := count(kept)) > most:
        raise RecipeError(
            f"prune.max_parameters: must be at least {fewest}, the fewest that pruning can leave "
            f"as it is set, got {most}; raise it, or lower round_to, keep less, or start from a "
            "smaller network"
        )
    low, high = 0.0, _LARGEST
    while high - low > _FINEST / 8:
        middle = (low + high) / 2
        candidate = share(middle)
        if candidate == kept or count(candidate) <= most:
            high, kept = middle, candidate
        else:
            low = middle
    return kept


def find_speedup(
    share: Callable[[float], Kept],
    shrunk: Callable[[Kept], torch.nn.Module],
    bench: Workbench,
    target: float,
) -> Kept:
    """What groups keep at about the smallest ratio that measures `target` in every format.

    It is measured twice. The result is kept in the storage of `bench`: what goes on after a kill
    prunes the same.

    Args:
        share: what groups keep at a ratio.
        shrunk: the network that keeps no more.
        bench: measures.
        target: how many times as fast as the network that came; above 1.

    Raises:
        RecipeError: the recipe has no format to measure.
        ConvertError: no ratio that was tried reaches it.
        StorageError: the result cannot be kept.
    """
    memory = bench.storage / "kept.json"
    if (found := _remembered(memory, share(0.0))) is not None:
        return found
    kept = _search(share, shrunk, bench, target)
    atomic_write(memory, [json.dumps(kept).encode()], overwrite=True)
    return kept


def _remembered(memory: Path, whole: Kept) -> Kept | None:
    """What was found before for the groups of `whole`; None: nothing that can be read."""
    try:
        found = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return None
    fits = isinstance(found, dict) and found.keys() == whole.keys()
    if not fits or not all(type(count) is int for count in found.values()):
        return None
    kept: Kept = found
    return kept


@dataclass(frozen=True, slots=True)
class _Point:
    """What was measured at one ratio.

    Attributes:
        ratio: of channels that go.
        kept: what groups keep at it.
        speedup: in the slowest format.
        format: that one.
    """

    ratio: float
    kept: Kept
    speedup: float
    format: str = ""

    @property
    def depth(self) -> float:
        """What the logarithm of the speedup grows with, evenly more or less."""
        return -math.log1p(-self.ratio)


def _search(
    share: Callable[[float], Kept],
    shrunk: Callable[[Kept], torch.nn.Module],
    bench: Workbench,
    target: float,
) -> Kept:
    low, high = _Point(0.0, share(0.0), 1.0), None
    missed = []
    for remaining in reversed(range(_MEASUREMENTS)):
        low, ratio = _other(share, low, high, _next(low, high, target))
        if high is not None and (
            high.speedup <= target * _NEAR
            or high.ratio - low.ratio <= _FINEST
            or remaining < _CONFIRMING
        ):
            ratio = high.ratio
        candidate = share(ratio)
        point = _measure(ratio, candidate, shrunk, bench)
        if high is not None and candidate == high.kept and point.speedup >= target:
            return candidate
        if point.speedup >= target:
            high = point
        else:
            missed.append(point)
            if ratio >= _LARGEST:
                break
            # Where it seemed quick enough the first time, that was luck.
            high = None if high is not None and candidate == high.kept else high
            low = point
    best = max(missed, key=lambda point: point.speedup)
    raise ConvertError(
        f"prune: speedup must be at least {target:g} in every format, got at most "
        f"{best.speedup:.3f}, in {best.format!r} at ratio {best.ratio:.2f}"
    )


def _other(
    share: Callable[[float], Kept], low: _Point, high: _Point | None, ratio: float
) -> tuple[_Point, float]:
    """`low` and a ratio above it that gives other channels; that of `high` where there is none."""
    if high is None:
        while share(ratio) == low.kept and ratio < _LARGEST:
            ratio = min(ratio + _FINEST, _LARGEST)
        return low, ratio
    above = high.ratio
    while above - low.ratio > _FINEST / 8:
        candidate = share(ratio)
        if candidate == low.kept:
            low = replace(low, ratio=ratio)
        elif candidate == high.kept:
            above = ratio
        else:
            return low, ratio
        ratio = (low.ratio + above) / 2
    return low, high.ratio


def _next(low: _Point, high: _Point | None, target: float) -> float:
    """The ratio at which the target is expected, by a secant."""
    wanted = math.log(target * _AIM)
    if high is not None:
        slope = (math.log(high.speedup) - math.log(low.speedup)) / (high.depth - low.depth)
        depth = low.depth + (wanted - math.log(low.speedup)) / max(slope, 1e-9)
        edge = (high.depth - low.depth) / 10
        depth = min(max(depth, low.depth + edge), high.depth - edge)
    elif low.ratio == 0.0:
        depth = wanted / 2  # where a layer loses as many inputs as outputs
    else:
        slope = max(math.log(low.speedup), 0.0) / low.depth
        depth = wanted / slope if slope else math.inf
        depth = min(max(depth, low.depth + 2 * _FINEST), 2 * low.depth)
    return min(-math.expm1(-depth), _LARGEST)


def _measure(
    ratio: float, kept: Kept, shrunk: Callable[[Kept], torch.nn.Module], bench: Workbench
) -> _Point:
    with bench.step(f"prune: measure ratio {ratio:.3f}") as done:
        speedups = bench.speedups(shrunk(kept))
        if not speedups:
            raise RecipeError("prune.speedup: must have a format to measure, got no target")
        slowest = min(speedups, key=lambda name: speedups[name])
        done(", ".join(f"{name} {value:.2f} times" for name, value in speedups.items()))
    return _Point(ratio, kept, speedups[slowest], slowest)
