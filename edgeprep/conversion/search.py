"""Many ways to convert a network, tried one after the other: which of them are worth having."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from edgeprep.conversion.digests import digest, digest_data, digest_program
from edgeprep.conversion.limits import latency_ms
from edgeprep.conversion.plan import Held, PlannedVariant
from edgeprep.conversion.points import Combination, Point, Points, choose, front
from edgeprep.conversion.repair import Trial
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.space import Space
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.conversion.within_budget import VariantMaker
from edgeprep.data import Progress, silent
from edgeprep.errors import BackendError, ConvertError, RecipeError
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.train.digests import digest_files

__all__ = ["Found", "search"]

_POINTS = "points.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        points: all that were measured, in their order.
        front: those that no other one beats in accuracy, latency and size, the quickest first.
        chosen: the quickest one that keeps the budget; without a budget, that loses least.
        recipe: the one that makes it, in every format that keeps the budget in this way.
        data: what the scores are of.
        left: how many combinations time did not suffice for.
    """

    points: tuple[Point, ...]
    front: tuple[Point, ...]
    chosen: Point
    recipe: Recipe
    data: Held
    left: int

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep search --format json` prints it."""
        return {
            "data": self.data,
            "points": [point.to_json() for point in self.points],
            "front": [point.to_json() for point in self.front],
            "chosen": self.chosen.to_json(),
            "left": self.left,
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
        BudgetError: no point keeps the budget; the message has the nearest.
        EdgePrepError: as `edgeprep.convert`.
    """
    data = _labelled(recipe)
    space = Space(recipe=recipe, data=data, registry=registry or default_registry())
    end = monotonic() + 60 * (recipe.search.minutes if minutes is None else minutes)
    left = 0
    with scratch_directory() as scratch, Steps(fresh=fresh).open(_key(recipe), scratch) as place:
        points = Points(place / _POINTS)
        for group in space.groups():
            todo = {one: missing for one in group if (missing := space.missing(one, points.known))}
            with ExitStack() as stack:
                measure: Callable[[Combination, PlannedVariant], Point] | None = None
                for combination, missing in todo.items():
                    if monotonic() > end:
                        left += 1
                        continue
                    measure = measure or stack.enter_context(
                        _opened(space, combination, scratch, fresh=fresh, progress=progress)
                    )
                    for planned in missing:
                        points.add(measure(combination, planned))
    chosen = choose(points.known, recipe.budget)
    return Found(
        points=tuple(points.known),
        front=front(points.known),
        chosen=chosen,
        recipe=space.chosen(chosen, points.known),
        data=data,
        left=left,
    )


@contextmanager
def _opened(
    space: Space, combination: Combination, scratch: Path, *, fresh: bool, progress: Progress
) -> Iterator[Callable[[Combination, PlannedVariant], Point]]:
    """What measures the variants of all combinations that share a network with `combination`."""
    plan = space.plan(combination)
    with closing(plan.chain):
        conversion = Conversion(
            plan=plan,
            registry=space.registry,
            progress=progress,
            scratch=scratch,
            steps=Steps(fresh=fresh),
        )
        maker = conversion.prepare()

        def measure(combination: Combination, planned: PlannedVariant) -> Point:
            with progress(f"{planned.name}, {combination}") as done:
                point = _measure(maker, combination, planned)
                done(point.describe())
            return point

        yield measure


def _measure(maker: VariantMaker, combination: Combination, planned: PlannedVariant) -> Point:
    point = Point(
        combination=combination,
        variant=planned.name,
        format=planned.exporter.name,
        precision=planned.precision,
    )
    try:
        made = maker.once(planned, Trial(calibrator=combination.calibrator))
        latency = latency_ms(planned, made, maker.oracles[planned.placement].inputs[0])
    except (BackendError, ConvertError) as error:
        # One way that does not work is what a search is for finding out.
        return msgspec.structs.replace(point, fault=str(error))
    metric = made.record.metric
    return msgspec.structs.replace(
        point,
        value=metric.value if metric else None,
        drop=metric.drop if metric else 0.0,
        latency_ms=latency,
        size_bytes=made.record.size_bytes,
    )


def _labelled(recipe: Recipe) -> Held:
    """The data that points are scored on."""
    if recipe.data.validation is not None:
        return "validation"
    if recipe.data.evaluation is not None:
        return "evaluation"
    raise RecipeError("data.validation: required key is missing; a search needs labelled samples")


def _key(recipe: Recipe) -> str:
    """The digest of all that points depend on."""
    weights = recipe.directory / recipe.model.weights if recipe.model.weights else None
    return digest(
        program=digest_program(),
        model=repr(recipe.model),
        weights=digest_files([weights] if weights and weights.is_file() else []),
        data=digest_data(recipe),
        rest=[
            repr(part) for part in (recipe.input, recipe.preprocess, recipe.task, recipe.compress)
        ],
        train=repr(recipe.train),
        keep_float=recipe.quantize.keep_float,
        targets=repr([(one.format, one.keep_float, one.options) for one in recipe.target]),
        metric=recipe.budget.metric if recipe.budget else None,
        search="points",
    )
