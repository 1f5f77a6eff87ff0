"""The space of a search: every combination, and the recipe that converts in its way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgeprep.conversion.plan import (
    Held,
    Plan,
    PlannedVariant,
    build_named,
    check_targets,
    make_plan,
)
from edgeprep.conversion.points import Combination, Point
from edgeprep.errors import RecipeError, UnknownName
from edgeprep.interfaces import CALIBRATED, Precision
from edgeprep.recipe import Recipe, TargetTable
from edgeprep.registry import Registry

__all__ = ["Space"]

_TARGETS_OF_PRUNE = ("ratio", "speedup", "max_parameters")

Group = tuple[Combination, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All combinations of one recipe."""

    recipe: Recipe
    data: Held
    registry: Registry

    def groups(self) -> Iterator[Group]:
        """The combinations, those together that share a network and its graph.

        Raises:
            RecipeError: a pass is none that plugins offer, or a key of it is wrong.
        """
        table = self.recipe.search
        for prune in dict.fromkeys(table.prune or (self._own_prune,)):
            for placement in dict.fromkeys(table.placement or (self.recipe.placement,)):
                group = tuple(
                    Combination(prune=prune, placement=placement, calibrator=calibrator)
                    for calibrator in dict.fromkeys(table.calibrator)
                )
                yield from ((one,) for one in group) if self._reads_ranges(prune) else [group]

    def plan(self, group: Group) -> Plan:
        """What a conversion in the ways of `group` would do, in every precision of the search.

        Raises:
            RecipeError: no format of the recipe offers one; or as `make_plan`.
        """
        check_targets(self.recipe)
        targets = self._targets()
        if not targets:
            offered = {one.format: list(self._offered(one)) for one in self.recipe.target}
            raise RecipeError(
                f"search.precision: must have one of those that formats offer, {offered}, got "
                f"{list(self.recipe.search.precision)}"
            )
        return make_plan(
            self.recipe_of(group[0], targets),
            self.recipe.directory / f"{self.recipe.name}.edgeprep",
            overwrite=True,
            registry=self.registry,
            held_out=self.data,
        )

    def wanted(self, group: Group, plan: Plan) -> dict[Combination, tuple[PlannedVariant, ...]]:
        """The variants to measure.

        What has no activations to calibrate is the same under every calibrator, and is measured
        under the first one.
        """
        return {
            one: tuple(
                planned
                for planned in plan.variants
                if planned.precision in CALIBRATED or one == group[0]
            )
            for one in group
        }

    def recipe_of(self, combination: Combination, targets: Sequence[TargetTable]) -> Recipe:
        """The recipe that converts in this way."""
        return replace(
            self.recipe,
            compress=self._passes(combination.prune),
            placement=combination.placement,
            quantize=replace(self.recipe.quantize, calibrator=combination.calibrator),
            target=tuple(targets),
        )

    def chosen(self, point: Point) -> Recipe:
        """The recipe that makes `point`, and nothing else."""
        target = self._of(point.format, point.precision)
        recipe = self.recipe_of(point.combination, [replace(target, precision=(point.precision,))])
        if recipe.quantize.ignores_percentile(recipe.budget):
            recipe = replace(recipe, quantize=replace(recipe.quantize, percentile=None))
        return recipe

    def settings(self) -> list[object]:
        """What the recipe says of each precision of each format, searched or not."""
        return [
            [target.format, precision, target.keep_float, target.options]
            for target in self.recipe.target
            for precision in self._offered(target)
            if self._of(target.format, precision) is target
        ]

    def _reads_ranges(self, prune: float | None) -> bool:
        """Whether a pass may make another network under another calibrator."""
        tables = enumerate(self._passes(prune))
        passes = (build_named(self.registry, "pass", one, f"compress[{i}]") for i, one in tables)
        return any("quantization" in step.reads() for step in passes)

    @property
    def _own_prune(self) -> float | None:
        """What stands for the recipe's own passes: 0 where none of them prunes."""
        prunes = any(table["use"] == "prune" for table in self.recipe.compress)
        return None if prunes else 0.0

    def _targets(self) -> list[TargetTable]:
        """The recipe's tables, in the precisions of the search that their formats offer."""
        targets = []
        for target in self.recipe.target:
            offered = self._offered(target)
            precisions = tuple(
                one
                for one in dict.fromkeys(self.recipe.search.precision)
                if one in offered and self._of(target.format, one) is target
            )
            if precisions:
                targets.append(replace(target, precision=precisions))
        return targets

    def _of(self, format_: str, precision: Precision) -> TargetTable:
        """The table that says how: of several of one format that which names it, or the first."""
        tables = [target for target in self.recipe.target if target.format == format_]
        return next((one for one in tables if precision in one.precision), tables[0])

    def _offered(self, target: TargetTable) -> tuple[Precision, ...]:
        try:
            return self.registry.get("exporter", target.format).precisions
        except UnknownName as error:
            index = self.recipe.target.index(target)
            raise RecipeError(f"target[{index}].format: {error}") from error

    def _passes(self, ratio: float | None) -> tuple[Mapping[str, object], ...]:
        """The recipe's passes, with `ratio` in that which prunes; one more where there is none."""
        passes = list(self.recipe.compress)
        if ratio is None:
            return tuple(passes)
        place = next((i for i, table in enumerate(passes) if table["use"] == "prune"), None)
        table = {"use": "prune"} if place is None else passes[place]
        rest = {key: value for key, value in table.items() if key not in _TARGETS_OF_PRUNE}
        pruned = [{**rest, "ratio": ratio}] if ratio else []
        if place is None:
            return (*passes, *pruned)
        return (*passes[:place], *pruned, *passes[place + 1 :])
