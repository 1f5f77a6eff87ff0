"""What fine-tuning under simulated INT8 is worth in the engines, on a network made fragile."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

from benchmarks.budget import plain_drop
from benchmarks.bundles import MODELS
from benchmarks.figures import Figure, Report
from edgeprep.conversion import silent
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import default_registry

__all__ = ["measure"]

RECIPE = MODELS / "fragile.toml"
SEEDS = (0, 1, 2)
PASS = {"use": "quantization-aware", "epochs": 20, "learning_rate": 3e-3}


def measure() -> Report:
    """Score INT8 in every engine, of each seed's network with the pass and without."""
    start = perf_counter()
    found: dict[int, dict[str, Mapping[str, float]]] = {}
    for seed in SEEDS:
        recipe = load_recipe(RECIPE)
        recipe = replace(recipe, model=replace(recipe.model, arguments={"seed": seed}))
        found[seed] = {
            "plain": scores(recipe),
            "fine-tuned": scores(replace(recipe, compress=(PASS,))),
        }
    figures = []
    for name in (name for name in found[SEEDS[0]]["plain"] if name != "source"):
        gains = [one["fine-tuned"][name] - one["plain"][name] for one in found.values()]
        figures += [
            Figure(
                name=f"accuracy of {name} with the pass over without, least of seeds",
                value=min(gains),
                limit=0.0,
                rule="at least",
            ),
            Figure(name=f"mean of seeds, {name}", value=mean(gains), limit=0.0, rule="at least"),
        ]
    notes = [f"seed {seed}: {_say(one)}" for seed, one in found.items()]
    return Report(
        title="quantization-aware: a narrow depthwise network with channels a factor of 1000 apart",
        figures=tuple(figures),
        notes=(*notes, f"{perf_counter() - start:.0f} s"),
        details={"scores": {str(seed): one for seed, one in found.items()}},
    )


def scores(recipe: Recipe) -> dict[str, float]:
    """The accuracy of the source in float, and of INT8 in every engine.

    No gate is asked: a variant that a conversion would refuse for its parity or its loss has its
    accuracy here, too.
    """
    registry = default_registry()
    with tempfile.TemporaryDirectory() as name:
        plan = make_plan(
            recipe, Path(name) / "fragile.edgeprep", overwrite=False, registry=registry
        )
        conversion = Conversion(
            plan=plan,
            registry=registry,
            progress=silent,
            scratch=Path(name),
            steps=Steps(Path(name) / "steps"),
        )
        maker = conversion.prepare()
        source = next(iter(maker.oracles.values())).source_score
        drops = {planned.name: plain_drop(maker, planned) for planned in plan.variants}
    return {"source": source, **{name: source - drop for name, drop in drops.items()}}


def _say(one: Mapping[str, Mapping[str, Any]]) -> str:
    source = one["plain"]["source"]
    engines = [
        f"{name} {one['plain'][name]:.3f} to {one['fine-tuned'][name]:.3f}"
        for name in one["plain"]
        if name != "source"
    ]
    return f"{source:.3f} in float; {', '.join(engines)}"
