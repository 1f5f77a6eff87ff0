"""How the ranges that a recipe's variants get fit its calibration and evaluation data."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.conversion.noted import Noted
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.data import Prepared, Progress, silent
from edgeprep.interfaces import CALIBRATED, RangeCoverage
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry, default_registry

__all__ = ["collect_coverage", "describe_coverage"]

# Evaluation samples, spread over all, that tell enough of a range.
_SAMPLES = 64


def collect_coverage(
    recipe: Recipe, *, registry: Registry | None = None, progress: Progress = silent
) -> Mapping[str, tuple[RangeCoverage, ...]]:
    """By variant: one for each activation of it that is quantized by a range.

    Compression steps are done first, or taken from a conversion before this one.

    Args:
        recipe: with calibration data, and a target in one of `CALIBRATED`.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the recipe breaks a rule.
        DataError: the data cannot be used.
        ConvertError: a compression step failed.
        ExportError: a variant cannot be written.
    """
    registry = registry or default_registry()
    found = {}
    with scratch_directory() as scratch:
        plan = make_plan(recipe, scratch / "none.edgeprep", overwrite=False, registry=registry)
        with closing(plan.chain):
            conversion = Conversion(
                plan=plan,
                registry=registry,
                progress=Noted(progress),
                scratch=scratch,
                steps=Steps(),
            )
            maker = conversion.prepare()
            for planned in plan.variants:
                if planned.precision not in CALIBRATED:
                    continue
                source = conversion.sources[planned.placement].keeping(maker.kept[planned.name])
                held_out = conversion.grounds[planned.placement].held_out
                with progress(f"ranges of {planned.name}") as done:
                    found[planned.name] = planned.exporter.coverage(
                        source.quantized_by(planned.quantization),
                        planned.precision,
                        _feeds(source, held_out) if plan.evaluation else None,
                    )
                    done(f"{len(found[planned.name])} activations")
    return found


def _feeds(source: NetworkSource, held_out: Prepared) -> Iterator[tuple[NDArray[Any], ...]]:
    """What the graph takes of some samples; of films frame by frame, with the source's states."""
    if not source.states and source.input.shape[0] == 1:
        for row in _spread(len(held_out.inputs), _SAMPLES):
            yield (held_out.inputs[row : row + 1],)
        return
    # As many frames as there would be pictures.
    most = max(1, len(held_out) * _SAMPLES // len(held_out.inputs)) if source.states else _SAMPLES
    for index in _spread(len(held_out), most):
        clip = held_out.picture(index)
        yield from source.taking(clip) if source.states else [(clip,)]


def _spread(count: int, most: int) -> list[int]:
    """So many numbers at most of `count`, from the first to the last."""
    chosen: list[int] = np.linspace(0, count - 1, min(count, most)).astype(int).tolist()
    return chosen


def describe_coverage(coverage: tuple[RangeCoverage, ...]) -> str:
    """A table for people: the ranges, and what each kind of data makes of them."""
    head = f"{'module':<32} {'range':>22} {'seen':>22} {'clipped':>8} {'at ends':>8}"
    lines = [f"{head} {'evaluation':>22} {'clipped':>8}"]
    for one in coverage:
        seen, other = one.calibration, one.evaluation
        line = (
            f"{one.module or one.tensor:<32.32} {_span(one.low, one.high):>22} "
            f"{_span(seen.low, seen.high):>22} {seen.clipped:>8.3%} {seen.saturated:>8.3%}"
        )
        if other is not None:
            line += f" {_span(other.low, other.high):>22} {other.clipped:>8.3%}"
        lines.append(line)
    return "\n".join(lines)


def _span(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"
