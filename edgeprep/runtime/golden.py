"""Golden samples: inputs whose outputs a candidate must reproduce before it is used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Bundle, Variant
from edgeprep.errors import BundleFormatError
from edgeprep.interfaces import Options, Runner

__all__ = ["GoldenSamples", "relative_error"]

# A float computed in 8 bits of mantissa instead of 24: asked for by name in the options.
_REDUCED_PRECISION_TOLERANCE = 0.05


class GoldenSamples:
    """The golden inputs of a variant and the outputs that its reference run gave.

    Args:
        bundle: an open bundle.
        variant: one of its variants.
    """

    def __init__(self, bundle: Bundle, variant: Variant) -> None:
        golden = next((g for g in bundle.manifest.golden if g.placement == variant.placement), None)
        if golden is None:
            raise BundleFormatError(
                f"{bundle.path}: variant {variant.name!r} must have golden samples for placement "
                f"{variant.placement!r}, got none"
            )
        self.inputs = bundle.array(golden.input, golden.member)
        self._expected = tuple(
            bundle.array(spec, member)
            for spec, member in zip(golden.outputs, variant.golden_outputs, strict=True)
        )
        self._tolerance = variant.tolerance

    def allowed(self, options: Options) -> float:
        """The largest relative error that a candidate with `options` may have."""
        if options.get("precision", "f32") == "f32":
            return self._tolerance
        return max(self._tolerance, _REDUCED_PRECISION_TOLERANCE)

    def error(self, runner: Runner, samples: int | None = None) -> float:
        """The largest relative error of `runner` on the first `samples` inputs (None: all)."""
        return max(
            relative_error(
                runner.run((self.inputs[index : index + 1],)),
                tuple(expected[index : index + 1] for expected in self._expected),
            )
            for index in range(len(self.inputs[:samples]))
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
