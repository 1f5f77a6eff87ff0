"""Golden samples: inputs whose outputs a candidate must reproduce before it is used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import GoldenSamples, Variant
from edgeprep.interfaces import Options, Runner

__all__ = ["allowed_error", "golden_error", "relative_error"]

# bf16 keeps 8 bits of the mantissa, so that each operation may be off by 2^-9, and a network by a
# few of those: what it costs has been scored, and this stops what is broken.
_REDUCED_TOLERANCE = 0.05


def allowed_error(variant: Variant, options: Options) -> float:
    """The largest relative error on golden samples that `variant` may have, run with `options`.

    A reduced precision hint that was scored when the bundle was made may differ more; one that was
    not, as on a device that has nothing else, must reproduce the golden outputs like the rest.
    """
    if options.get("precision") in variant.reduced:
        return max(variant.tolerance, _REDUCED_TOLERANCE)
    return variant.tolerance


def golden_error(runner: Runner, golden: GoldenSamples, samples: int | None = None) -> float:
    """The largest relative error of `runner` on the first `samples` (None: on all)."""
    return max(
        relative_error(runner.run(golden.feed(index)), golden.expected(index))
        for index in range(golden.count)[:samples]
    )


def relative_error(actual: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """The largest difference over the largest expected magnitude, of the worst output.

    Of whole numbers, which may be those of classes: the share of those that differ.

    Infinity where shapes differ or a number is not finite, so that no comparison lets it pass.
    """
    if len(actual) != len(expected):
        return float("inf")
    worst = 0.0
    for got, wanted in zip(actual, expected, strict=True):
        if got.shape != wanted.shape:
            return float("inf")
        if np.issubdtype(wanted.dtype, np.integer):
            worst = max(worst, float(np.mean(got != wanted)))
            continue
        scale = float(np.max(np.abs(wanted), initial=0.0))
        difference = float(np.max(np.abs(got.astype(np.float64) - wanted), initial=0.0))
        if not np.isfinite(difference):
            return float("inf")
        if difference:
            worst = max(worst, difference / scale if scale else float("inf"))
    return worst
