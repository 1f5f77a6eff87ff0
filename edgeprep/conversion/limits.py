"""What a variant costs on this machine, and the limits that a recipe sets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from edgeprep.bundle import Variant
from edgeprep.conversion.plan import PlannedVariant
from edgeprep.conversion.score import Outputs
from edgeprep.conversion.variants import MadeVariant
from edgeprep.errors import BudgetError
from edgeprep.interfaces import Options
from edgeprep.recipe import BudgetTable
from edgeprep.runtime.footprint import measure_footprint
from edgeprep.runtime.timing import measure_burst, summarize

__all__ = [
    "Cost",
    "check_limits",
    "describe_limits",
    "is_within",
    "latency_ms",
    "measure_cost",
]

_BURSTS = 5
_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a variant costs here, each as far as there is a limit for it.

    Attributes:
        latency_ms: of one picture, with the quickest options of its engine.
        size_mb: of its files, in 1,000,000 bytes.
        memory_mb: that loading and running it adds to a process, in 1,000,000 bytes.
    """

    latency_ms: float | None = None
    size_mb: float | None = None
    memory_mb: float | None = None

    def describe(self) -> str:
        """What is known, for people."""
        known = (
            (self.latency_ms, "ms"),
            (self.size_mb, "MB of files"),
            (self.memory_mb, "MB of memory"),
        )
        return ", ".join(f"{value:.3g} {unit}" for value, unit in known if value is not None)


def measure_cost(
    budget: BudgetTable, planned: PlannedVariant, made: MadeVariant, feed: Outputs
) -> Cost:
    """The cost of `made`.

    Args:
        budget: says what there are limits for.
        planned: gives its engine.
        made: the variant.
        feed: all inputs of the graph.

    Raises:
        BackendError: the engine cannot run it.
    """
    limited = budget.max_latency_ms, budget.max_size_mb, budget.max_memory_mb
    latency, size, memory = (limit is not None for limit in limited)
    return Cost(
        latency_ms=latency_ms(planned, made, feed, budget.max_drop) if latency else None,
        size_mb=made.record.size_bytes / _MB if size else None,
        memory_mb=_memory_mb(planned, made, feed) if memory else None,
    )


def latency_ms(
    planned: PlannedVariant, made: MadeVariant, feed: Outputs, max_drop: float = 0.0
) -> float:
    """Milliseconds a picture, the median, with the quickest options that a device would take.

    A hint by which the engine computes less exactly counts where its score was found to be within
    the budget.
    """
    device = planned.backend.devices()[0]
    exact, *others = planned.backend.options(device, planned.precision)
    taken = [one for one in others if _is_taken(one, exact, made.record, max_drop)]
    return min(_timed(planned, made, options, feed) for options in (exact, *taken))


def _timed(planned: PlannedVariant, made: MadeVariant, options: Options, feed: Outputs) -> float:
    device = planned.backend.devices()[0]
    with closing(planned.backend.load(made.model, device, options)) as runner:
        bursts = [measure_burst(lambda: runner.run(feed)) for _ in range(_BURSTS)]
    return summarize(bursts).median_ms


def _is_taken(options: Options, exact: Options, record: Variant, max_drop: float) -> bool:
    """Whether a device would run the variant so, by the drop that this hint is recorded with."""
    hint = options.get("precision")
    if hint == exact.get("precision"):
        return True
    return record.reduced.get(str(hint), math.inf) <= max_drop


def _memory_mb(planned: PlannedVariant, made: MadeVariant, feed: Outputs) -> float:
    device = planned.backend.devices()[0]
    options = planned.backend.options(device, planned.precision)[0]
    return measure_footprint(planned.backend, made.model, device, options, feed) / _MB


def check_limits(
    budget: BudgetTable, costs: Mapping[str, Cost], formats: Mapping[str, str]
) -> None:
    """Let pass where every format has a variant within all limits.

    Args:
        budget: the limits.
        costs: by the name of the variant.
        formats: the format of each, by its name.

    Raises:
        BudgetError: a format has none; the message has the costs of all of its variants.
    """
    faults = []
    for format_ in dict.fromkeys(formats.values()):
        names = [name for name in costs if formats[name] == format_]
        if not any(is_within(budget, costs[name]) for name in names):
            faults.append(f"{format_!r} has {_describe(names, costs)}")
    if faults:
        raise BudgetError(
            f"budget: every format must have a variant within {describe_limits(budget)}, got "
            f"{'; '.join(faults)}; prune more, or allow more"
        )


def is_within(budget: BudgetTable, cost: Cost) -> bool:
    """Whether what is known of `cost` is within every limit of `budget`."""
    return all(value <= limit for value, limit, _ in _pairs(budget, cost))


def _pairs(budget: BudgetTable, cost: Cost) -> Iterable[tuple[float, float, str]]:
    """Value, limit and unit of each limit that is set."""
    every = (
        (cost.latency_ms, budget.max_latency_ms, "ms"),
        (cost.size_mb, budget.max_size_mb, "MB of files"),
        (cost.memory_mb, budget.max_memory_mb, "MB of memory"),
    )
    for value, limit, unit in every:
        if value is not None and limit is not None:
            yield value, limit, unit


def describe_limits(budget: BudgetTable) -> str:
    """The limits of `budget`, for people."""
    limits = Cost(
        latency_ms=budget.max_latency_ms,
        size_mb=budget.max_size_mb,
        memory_mb=budget.max_memory_mb,
    )
    return " and ".join(f"{limit:g} {unit}" for _, limit, unit in _pairs(budget, limits))


def _describe(names: Sequence[str], costs: Mapping[str, Cost]) -> str:
    return " and ".join(f"{name} {costs[name].describe()}" for name in names)
