"""Golden samples: inputs whose outputs a candidate must reproduce before it is used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import GoldenSamples, Variant
from edgeprep.interfaces import Options, Runner

__all__ = ["allowed_error", "golden_error", "relative_error"]

# A float computed in 8 bits of mantissa instead of 24: asked for by name in the options.
_REDUCED_PRECISION_TOLERANCE = 0.05


def allowed_error(variant: Variant, options: Options) -> float:
    """The largest relative error on golden samples that `variant` may have, run with `options`."""
    if options.get("precision", "f32") == "f32":
        return variant.tolerance
    return max(variant.tolerance, _REDUCED_PRECISION_TOLERANCE)


def golden_error(runner: Runner, golden: GoldenSamples, samples: int | None = None) -> float:
    """The largest relative error of `runner` on the first `samples` (None: on all)."""
    return max(
        relative_error(
            runner.run((golden.input[index : index + 1],)),
            tuple(output[index : index + 1] for output in golden.outputs),
        )
        for index in range(len(golden.input[:samples]))
    )


def relative_error(actual: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """The largest difference over the largest expected magnitude, of the worst output.

    Infinity where shapes differ or a number is not finite, so that no comparison lets it pass.
    """
    if len(actual) != len(expected):
        return float("inf")
    worst = 0.0
    for got, wanted in zip(actual, expected, strict=True):
        if got.shape != wanted.shape:
            return float("inf")
        scale = float(np.max(np.abs(wanted), initial=0.0))
        difference = float(np.max(np.abs(got.astype(np.float64) - wanted), initial=0.0))
        if not np.isfinite(difference):
            return float("inf")
        if difference:
            worst = max(worst, difference / scale if scale else float("inf"))
    return worst
