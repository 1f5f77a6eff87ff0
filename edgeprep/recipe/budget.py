"""How targets are quantized, and what may be lost by it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from edgeprep.interfaces import Calibrator, Quantization, WeightRange
from edgeprep.recipe.tables import Text

__all__ = ["BudgetTable", "QuantizeTable", "Repair"]

# What a conversion may do for a variant that breaks the budget: keep the layers in float that cost
# most, choose ranges of activations by another rule, or fine-tune the network under simulated int8.
Repair = Literal["keep-float", "calibrate", "fine-tune"]
Limit = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeTable:
    """`[quantize]`: how networks become integers, in every format alike.

    Attributes:
        calibrator: how ranges of activations are chosen, as in `Quantization`.
        percentile: the share of values inside the range, in percent, for "percentile"; 99.99 where
            it is absent.
        weight_range: how much of int8 weights use, as in `Quantization`; "both": a variant of each,
            "full" and "reduced", between which the device chooses.
        keep_float: patterns of module paths that stay in float in every format; a target may name
            more of them.
    """

    calibrator: Calibrator = "min-max"
    percentile: Annotated[float, Meta(gt=50, le=100)] | None = None
    weight_range: WeightRange | Literal["both"] = "auto"
    keep_float: tuple[Text, ...] = ()

    @property
    def policies(self) -> tuple[Quantization, ...]:
        """What quantizers are told: one policy, or two where both weight ranges are asked for."""
        ranges: tuple[WeightRange, ...] = (
            ("full", "reduced") if self.weight_range == "both" else (self.weight_range,)
        )
        return tuple(self._policy(weight_range) for weight_range in ranges)

    @property
    def policy(self) -> Quantization:
        """The one for what serves all variants, such as fine-tuning: "auto" where it is "both"."""
        return self._policy("auto" if self.weight_range == "both" else self.weight_range)

    def ignores_percentile(self, budget: "BudgetTable | None") -> bool:
        """Whether nothing that a conversion may do under `budget` looks at `percentile`."""
        repairs = budget is not None and "calibrate" in budget.repair
        return self.calibrator != "percentile" and not repairs

    def _policy(self, weight_range: WeightRange) -> Quantization:
        policy = Quantization(calibrator=self.calibrator, weight_range=weight_range)
        if self.percentile is None:
            return policy
        return replace(policy, percentile=self.percentile)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTable:
    """`[budget]`: what may be lost, and what a variant may cost on this machine.

    Attributes:
        metric: one of the task's metrics, such as "accuracy".
        max_drop: the largest loss, absolute, against the source model on the evaluation data; where
            a pass has taught it better, as it does a student, against that.
        repair: what may be done for a variant that loses more, in this order.
        max_latency_ms: of one picture, the median on the quickest candidate of a format.
        max_size_mb: of a variant's files, in 1,000,000 bytes.
        max_memory_mb: that loading and running a variant adds to a process, in 1,000,000 bytes.
    """

    metric: Text
    max_drop: Annotated[float, Meta(ge=0)]
    repair: tuple[Repair, ...] = ("keep-float", "calibrate")
    max_latency_ms: Limit | None = None
    max_size_mb: Limit | None = None
    max_memory_mb: Limit | None = None

    @property
    def has_limits(self) -> bool:
        """Whether there is a limit for what a variant costs on this machine."""
        limits = self.max_latency_ms, self.max_size_mb, self.max_memory_mb
        return any(limit is not None for limit in limits)

    def __post_init__(self) -> None:
        for step in self.repair:
            if self.repair.count(step) > 1:
                rule = "every entry must differ"
                raise ValueError(f"repair: {rule}, got {step!r} more than once")
