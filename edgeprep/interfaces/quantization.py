"""How a network becomes integers: one policy for every format."""

from typing import Literal

from msgspec import Struct

__all__ = ["Calibrator", "Quantization", "WeightRange"]

# How the range of an activation is chosen from what occurs on the calibration samples.
Calibrator = Literal["min-max", "percentile", "entropy", "mse"]
# How much of int8 weights use. "reduced" is 7 bits: products of two fit into 16 bits, where x86
# without VNNI adds them up and saturates, without an error.
WeightRange = Literal["auto", "full", "reduced"]


class Quantization(Struct, frozen=True, kw_only=True):
    """What all quantizers are told.

    Attributes:
        calibrator: how ranges of activations are chosen: from the least to the greatest value, the
            middle `percentile` of all values, or the range that loses least by its
            Kullback-Leibler divergence ("entropy") or its mean squared error ("mse").
        percentile: the share of values inside the range, in percent, for "percentile".
        weight_range: all of int8 ("full"), or what adds up without saturation on any CPU
            ("reduced"); "auto": what the format's engine needs to be right everywhere.
    """

    calibrator: Calibrator = "min-max"
    percentile: float = 99.99
    weight_range: WeightRange = "auto"
