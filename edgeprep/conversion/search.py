"""Many ways to convert a network, tried one after the other: which of them are worth having."""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec

from edgeprep.conversion.digests import digest
from edgeprep.conversion.limits import measure_cost
from edgeprep.conversion.noted import Noted
from edgeprep.conversion.plan import Held, PlannedVariant
from edgeprep.conversion.points import Combination, Point, Points, Way, choose, front
from edgeprep.conversion.points_key import points_key
from edgeprep.conversion.repair import Trial
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.space import Space
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.conversion.within_budget import VariantMaker
from edgeprep.data import Progress, silent
from edgeprep.errors import (
    BackendError,
    BudgetError,
    ConvertError,
    EdgePrepError,
    OutputError,
    RecipeError,
    StorageError,
)
from edgeprep.recipe import BudgetTable, Recipe
from edgeprep.registry import Registry, default_registry

__all__ = ["Found", "search"]

_POINTS = "points.jsonl"
_WARNINGS = "warnings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        points: all that were measured, in their order.
        front: those that no other one beats in accuracy, latency and size, the quickest first.
        chosen: the quickest one that keeps the budget; without a budget, that loses least.
        recipe: the one that makes it, and nothing else.
        data: what the scores are of.
        left: how many points time did not suffice for.
        warnings: what a user should know of the data.
    """

    points: tuple[Point, ...]
    front: tuple[Point, ...]
    chosen: Point
    recipe: Recipe
    data: Held
    left: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep search --format json` prints it."""
        return {
            "data": self.data,
            "points": [point.to_json() for point in self.points],
            "front": [point.to_json() for point in self.front],
            "chosen": self.chosen.to_json(),
            "left": self.left,
            "warnings": list(self.warnings),
        }


def search(
    recipe: Recipe,
    *,
    minutes: float | None = None,
    fresh: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> Found:
    """Measure the combinations that the recipe's `[search]` spans.

    What was measured before, in a search of the same recipe that was ended at any moment, is not
    measured again. Points are scored on the validation data where the recipe names them, so that
    the evaluation data still say what has been reached.

    Args:
        recipe: its own budget, passes and targets say what is searched for.
        minutes: after so many no further point is begun; None: as the recipe says.
        fresh: whether what was measured and done before is measured and done again.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the recipe breaks a rule, or names no labelled data.
        BudgetError: no point keeps the budget; the message has the nearest, or why there is none,
            and its `reached` all points and those that no other one beats.
        StorageError: another search of the recipe is under way; or as `edgeprep.convert`.
        EdgePrepError: as `edgeprep.convert`.
    """
    data = _labelled(recipe)
    space = Space(recipe=recipe, data=data, registry=registry or default_registry())
    end = monotonic() + 60 * (recipe.search.minutes if minutes is None else minutes)
    try:
        points, left, warnings = _explored(space, end, Steps(fresh=fresh), progress)
    except EdgePrepError:
        raise
    except OSError as error:
        rule = "must be a file that can be used"
        place = error.filename or "search"
        raise StorageError(f"{place}: {rule}, got {error.strerror!r}") from error
    try:
        # What a recipe would have with a point has to be known, too.
        chosen = choose([one for one in points if one.way not in left], recipe.budget)
    except BudgetError as error:
        error.reached = {
            "data": data,
            "points": [point.to_json() for point in points],
            "front": [point.to_json() for point in front(points)],
            "left": len(left),
            "warnings": warnings,
        }
        raise
    return Found(
        points=tuple(points),
        front=front(points),
        chosen=chosen,
        recipe=space.chosen(chosen),
        data=data,
        left=len(left),
        warnings=tuple(warnings),
    )


def _explored(
    space: Space, end: float, steps: Steps, progress: Progress
) -> tuple[list[Point], list[Way], list[str]]:
    """All points that are known when time is up, the ways of those left, and warnings."""
    wanted, faults, left = set(), [], list[Way]()
    with ExitStack() as stack:
        # All of them first: what is wrong with one is known before any work.
        plans = {}
        for group in space.groups():
            plans[group] = space.plan(group)
            stack.callback(plans[group].chain.close)
        scratch = stack.enter_context(scratch_directory())
        key = points_key(space, [*plans.values()])
        rule = "search: must be the only one of its recipe"
        stack.enter_context(steps.claim(digest(search=key), rule))
        place = stack.enter_context(steps.open(key, scratch))
        noted = Noted(progress, place / _WARNINGS)
        points = Points(place / _POINTS)
        measured = {(point.combination, point.variant) for point in points.known}
        for group, plan in plans.items():
            making = _Making(
                conversion=Conversion(
                    plan=plan,
                    registry=space.registry,
                    progress=noted,
                    scratch=scratch,
                    steps=steps,
                ),
                points=points,
                progress=progress,
            )
            for combination, variants in space.wanted(group, plan).items():
                wanted |= {(combination, planned.name) for planned in variants}
                for planned in variants:
                    if (combination, planned.name) in measured:
                        continue
                    if monotonic() > end:
                        left.append((combination, planned.exporter.name, planned.precision))
                    else:
                        making.measure(combination, planned)
            faults += [making.fault] if making.fault else []
            plan.chain.close()
    # A search before this one may have been of more.
    known = [point for point in points.known if (point.combination, point.variant) in wanted]
    if len(faults) == len(plans) and all(point.value is None for point in known):
        # No network could be made at all, which no budget is to blame for.
        raise faults[0]
    return known, left, noted.warnings


@dataclass(slots=True, kw_only=True)
class _Making:
    """The variants of one group, whose network is made when the first of them is.

    Attributes:
        conversion: of the group.
        points: where what came is kept.
        progress: is told of every point.
        fault: why the network could not be made.
    """

    conversion: Conversion
    points: Points
    progress: Progress
    maker: VariantMaker | None = None
    fault: EdgePrepError | None = None

    def measure(self, combination: Combination, planned: PlannedVariant) -> None:
        """Add the point of `planned`; one that failed if its network cannot be made."""
        maker = self._prepared()
        with self.progress(f"{planned.name}, {combination}") as done:
            point = Point(
                combination=combination,
                variant=planned.name,
                format=planned.exporter.name,
                precision=planned.precision,
                fault=str(self.fault or ""),
            )
            if maker is not None:
                point = _measured(maker, point, planned)
            self.points.add(point)
            done(point.describe())

    def _prepared(self) -> VariantMaker | None:
        if self.maker is None and self.fault is None:
            try:
                self.maker = self.conversion.prepare()
            except StorageError:
                raise
            except EdgePrepError as error:
                # A pass may be asked for more than this network can give. Without one, no group
                # is better off.
                if not self.conversion.plan.passes:
                    raise
                self.fault = error
        return self.maker


def _measured(maker: VariantMaker, point: Point, planned: PlannedVariant) -> Point:
    """`point` with what `planned` gives."""
    feed = maker.oracles[planned.placement].inputs[0]
    try:
        made = maker.once(planned, Trial(calibrator=point.combination.calibrator))
        cost = measure_cost(_asked(maker.plan.recipe.budget), planned, made, feed)
    except (BackendError, ConvertError, OutputError) as error:
        # One way that does not work is what a search is for finding out.
        return msgspec.structs.replace(point, fault=str(error))
    metric = made.record.metric
    return msgspec.structs.replace(
        point,
        value=metric.value if metric else None,
        drop=metric.drop if metric else 0.0,
        latency_ms=cost.latency_ms or 0.0,
        size_bytes=made.record.size_bytes,
        memory_mb=cost.memory_mb,
    )


def _asked(budget: BudgetTable | None) -> BudgetTable:
    """A budget that asks for what is measured: latency always, memory only where it is limited.

    Hints by which an engine computes less exactly are not scored here, and so are not timed.
    """
    memory = budget.max_memory_mb if budget else None
    return BudgetTable(metric="", max_drop=0.0, max_latency_ms=math.inf, max_memory_mb=memory)


def _labelled(recipe: Recipe) -> Held:
    """The data that points are scored on."""
    if recipe.data.validation is not None:
        return "validation"
    if recipe.data.evaluation is not None:
        return "evaluation"
    raise RecipeError("data.validation: required key is missing; a search needs labelled samples")
