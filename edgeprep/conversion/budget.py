"""The budget gate: what may be lost, and no more."""

from collections.abc import Sequence

from edgeprep.conversion.variants import MadeVariant
from edgeprep.errors import BudgetError
from edgeprep.recipe import BudgetTable

__all__ = ["check_budget"]


def check_budget(budget: BudgetTable | None, variants: Sequence[MadeVariant]) -> None:
    """Let pass what every variant kept.

    Raises:
        BudgetError: variants lost more than `budget` allows; the message names each of them, and
            how near it came.
    """
    if budget is None:
        return
    over = [_describe(variant) for variant in variants if _drop(variant) > budget.max_drop]
    if not over:
        return
    more = [step for step in ("keep-float", "calibrate", "fine-tune") if step not in budget.repair]
    allow = f"allow {' and '.join(map(repr, more))} in budget.repair, " if more else ""
    raise BudgetError(
        f"budget.max_drop: {budget.metric} may drop by at most {budget.max_drop}, "
        f"got {', '.join(over)}; {allow}keep sensitive layers in float with target.keep_float, "
        "give more calibration samples, or allow a larger drop"
    )


def _drop(variant: MadeVariant) -> float:
    return variant.record.metric.drop if variant.record.metric else 0.0


def _describe(variant: MadeVariant) -> str:
    """What a variant lost; and how it was quantized, where that is the best of several ways."""
    record = variant.record
    value = record.metric.value if record.metric else 0.0
    text = f"{record.name} {_drop(variant):.4f} (to {value:.4f}"
    if len(variant.trials) < 2:
        return f"{text})"
    best = min(variant.trials, key=lambda tried: tried.drop)
    return f"{text} with {best.trial}, the best of {len(variant.trials)} trials)"
