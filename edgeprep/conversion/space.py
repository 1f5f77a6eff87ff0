"""The space of a search: every combination, and the recipe that converts in its way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from edgeprep.conversion.plan import Held, Plan, PlannedVariant, make_plan
from edgeprep.conversion.points import Combination, Point
from edgeprep.interfaces import CALIBRATED
from edgeprep.recipe import Recipe, TargetTable
from edgeprep.registry import Registry

__all__ = ["Space"]

_TARGETS_OF_PRUNE = ("ratio", "speedup", "max_parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All combinations of one recipe."""

    recipe: Recipe
    data: Held
    registry: Registry

    def groups(self) -> Iterator[tuple[Combination, ...]]:
        """The combinations, those together that share a network and its graph."""
        table = self.recipe.search
        for prune in dict.fromkeys(table.prune):
            for placement in dict.fromkeys(table.placement or (self.recipe.placement,)):
                yield tuple(
                    Combination(prune=prune, placement=placement, calibrator=calibrator)
                    for calibrator in dict.fromkeys(table.calibrator)
                )

    def plan(self, combination: Combination) -> Plan:
        """What a conversion in this way would do; every format in every precision it offers."""
        return make_plan(
            self.recipe_of(combination, self._targets()),
            self.recipe.directory / f"{self.recipe.name}.edgeprep",
            overwrite=True,
            registry=self.registry,
            held_out=self.data,
        )

    def missing(
        self, combination: Combination, known: Sequence[Point]
    ) -> tuple[PlannedVariant, ...]:
        """The variants of a combination that were not measured yet.

        What has no activations to calibrate is the same under every calibrator, and is measured
        under the first one.
        """
        first = self.recipe.search.calibrator[0]
        done = {(point.combination, point.variant) for point in known}
        return tuple(
            planned
            for planned in self.plan(combination).variants
            if planned.precision in CALIBRATED or combination.calibrator == first
            if (combination, planned.name) not in done
        )

    def recipe_of(self, combination: Combination, targets: Sequence[TargetTable]) -> Recipe:
        """The recipe that converts in this way."""
        return replace(
            self.recipe,
            compress=self._passes(combination.prune),
            placement=combination.placement,
            quantize=replace(self.recipe.quantize, calibrator=combination.calibrator),
            target=tuple(targets),
        )

    def chosen(self, point: Point, points: Sequence[Point]) -> Recipe:
        """The recipe that makes `point`, in all formats that keep the budget in its way."""
        limit = self.recipe.budget.max_drop if self.recipe.budget else point.drop
        plain = msgspec.structs.replace(
            point.combination, calibrator=self.recipe.search.calibrator[0]
        )
        kept = {
            (other.format, other.precision)
            for other in points
            if other.value is not None and other.drop <= limit
            if other.combination == (point.combination if other.precision in CALIBRATED else plain)
        }
        targets = []
        for target in self._targets():
            precisions = tuple(one for one in target.precision if (target.format, one) in kept)
            if precisions:
                targets.append(replace(target, precision=precisions))
        return self.recipe_of(point.combination, targets)

    def _targets(self) -> list[TargetTable]:
        """One table a format, with all precisions of the search that it offers."""
        tables = {target.format: target for target in self.recipe.target}
        targets = []
        for format_, target in tables.items():
            offered = self.registry.get("exporter", format_).precisions
            precisions = [one for one in self.recipe.search.precision if one in offered]
            if precisions:
                targets.append(replace(target, precision=tuple(dict.fromkeys(precisions))))
        return targets

    def _passes(self, ratio: float) -> tuple[Mapping[str, object], ...]:
        """The recipe's passes, with `ratio` in that which prunes; one more where there is none."""
        passes = list(self.recipe.compress)
        place = next((i for i, table in enumerate(passes) if table["use"] == "prune"), None)
        table = {"use": "prune"} if place is None else passes[place]
        rest = {key: value for key, value in table.items() if key not in _TARGETS_OF_PRUNE}
        pruned = [{**rest, "ratio": ratio}] if ratio else []
        if place is None:
            return (*passes, *pruned)
        return (*passes[:place], *pruned, *passes[place + 1 :])
