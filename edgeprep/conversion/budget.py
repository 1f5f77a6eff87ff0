"""The budget gate: what may be lost, and no more."""

from collections.abc import Mapping, Sequence

from edgeprep.conversion.reached import Reached
from edgeprep.conversion.repair import Tried
from edgeprep.conversion.variants import MadeVariant
from edgeprep.errors import BudgetError, EdgePrepError
from edgeprep.recipe import BudgetTable

__all__ = ["check_budget", "check_compressed", "check_usable"]


def check_compressed(
    budget: BudgetTable | None, drop: float, end: Reached, fell: Reached | None
) -> None:
    """Refuse what the passes made where it is over budget before anything is quantized.

    Args:
        budget: of the recipe.
        drop: what all passes together lost.
        end: what the last of them came to.
        fell: see `fell_after`.

    Raises:
        BudgetError: its score says so; no choice of layers or ranges would make that good.
    """
    if budget is None:
        return
    if fell is not None:
        raise BudgetError(
            "budget: the network must know more than one answer for all, got "
            f"{end.chance}, since {fell.after}; compress less there, or train longer"
        )
    if drop > budget.max_drop:
        raise BudgetError(
            f"{_rule(budget)}, got {drop:.4f} (to {end.score:.4f}) after {end.after}, before "
            "any export; prune less, train longer, or allow a larger drop"
        )


def check_usable(
    budget: BudgetTable,
    made: Sequence[MadeVariant],
    faults: Mapping[str, EdgePrepError],
    tried: Mapping[str, Sequence[Tried]],
) -> None:
    """Let pass where every variant could be made.

    Args:
        budget: of the recipe.
        made: the variants that could be.
        faults: the first fault of each other one, by its name.
        tried: in which ways each quantized variant was tried, by its name.

    Raises:
        BudgetError: there is none, or one was quantized in vain; the message has a line for each.
        EdgePrepError: the first fault, where only variants in float have any.
    """
    if not faults:
        return
    if made and not any(name in tried for name in faults):
        raise next(iter(faults.values()))
    lines = [f"{variant.record.name}: {variant.describe()}" for variant in made]
    for name, fault in faults.items():
        count = len(tried.get(name, ()))
        trials = f" (the first fault of {count} trials)" if count > 1 else ""
        lines.append(f"{name}: {str(fault).removeprefix(f'{name}: ')}{trials}")
    listed = "".join(f"\n  {line}" for line in lines)
    raise BudgetError(
        f"{_rule(budget)}, got {len(faults)} of {len(made) + len(faults)} variants that cannot be "
        f"used at all:{listed}"
    )


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
        f"{_rule(budget)}, got {', '.join(over)}; {allow}keep sensitive layers in float with "
        "target.keep_float, give more calibration samples, or allow a larger drop"
    )


def _rule(budget: BudgetTable) -> str:
    return f"budget.max_drop: {budget.metric} may drop by at most {budget.max_drop}"


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
