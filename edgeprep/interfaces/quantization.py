"""How a network becomes integers: one policy for every format."""

from typing import Literal

from msgspec import Struct

__all__ = ["Calibrator", "Quantization", "RangeCoverage", "RangeUse", "WeightRange"]

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


class RangeUse(Struct, frozen=True, kw_only=True):
    """What some samples make of a range.

    Attributes:
        low: the least value that occurs.
        high: the greatest value that occurs.
        clipped: the share of values that are further outside the range than half a step, 0 to 1.
        saturated: the share of values that become its first or last step, 0 to 1; zeros aside,
            which are exact.
    """

    low: float
    high: float
    clipped: float
    saturated: float


class RangeCoverage(Struct, frozen=True, kw_only=True):
    """How the range of one quantized activation fits what occurs in it.

    Attributes:
        tensor: its name in the float graph of the format.
        module: the path of the module that computes it, as recipes spell it; "" where nothing
            tells, or where it is what the network takes.
        low: what the first step stands for.
        high: what the last step stands for.
        calibration: on the samples that the range was chosen by.
        evaluation: on other samples; None where none were given.
    """

    tensor: str
    module: str
    low: float
    high: float
    calibration: RangeUse
    evaluation: RangeUse | None = None
