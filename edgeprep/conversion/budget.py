"""The budget gate: what may be lost, and no more."""

from collections.abc import Sequence

from edgeprep.bundle import Variant
from edgeprep.errors import BudgetError
from edgeprep.recipe import BudgetTable

__all__ = ["check_budget"]


def check_budget(budget: BudgetTable | None, variants: Sequence[Variant]) -> None:
    """Let pass what every variant kept.

    Raises:
        BudgetError: variants lost more than `budget` allows; the message names each of them.
    """
    if budget is None:
        return
    over = [
        f"{variant.name} {variant.metric.drop:.4f} (to {variant.metric.value:.4f})"
        for variant in variants
        if variant.metric and variant.metric.drop > budget.max_drop
    ]
    if over:
        raise BudgetError(
            f"budget.max_drop: {budget.metric} may drop by at most {budget.max_drop}, "
            f"got {', '.join(over)}; keep sensitive layers in float with target.keep_float, "
            "give more calibration samples, or allow a larger drop"
        )
