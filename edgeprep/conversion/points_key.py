"""What the points of a search depend on, in one digest."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgeprep.conversion.digests import (
    digest,
    digest_chain,
    digest_code,
    digest_data,
    digest_engines,
    digest_machine,
    digest_model,
)
from edgeprep.conversion.plan import Plan
from edgeprep.conversion.space import Space
from edgeprep.train.digests import digest_files

__all__ = ["points_key"]


def points_key(space: Space, plans: Sequence[Plan]) -> str:
    """The digest of all that the points of `space` depend on, beside what each one says itself.

    What the budget allows is not part of it: a search goes on under another budget.

    Args:
        space: of the search.
        plans: of each group of it, one at least.
    """
    recipe, plan, budget = space.recipe, plans[0], space.recipe.budget
    passes = [step for one in plans for step in one.passes]
    weights = [recipe.directory / recipe.model.weights] if recipe.model.weights else []
    files: set[Path] = {file for step in passes for file in step.files(recipe.directory)}
    return digest(
        search="points",
        code=digest_code(_types((*passes, plan.task, *plan.augment))),
        model=digest_model(recipe),
        # Missing ones are for the one who loads the network to tell of.
        weights=digest_files(path for path in weights if path.is_file()),
        data=(space.data, digest_data(recipe)),
        chain=digest_chain(plan.chain),
        task=repr(plan.task),
        augment=repr(plan.augment),
        compress=recipe.compress,
        files=digest_files(sorted(files)),
        train=repr(recipe.train),
        quantize=repr(replace(recipe.quantize, calibrator="min-max")),
        targets=space.settings(),
        metric=budget.metric if budget else None,
        memory=budget is not None and budget.max_memory_mb is not None,
        engines=digest_engines((one.exporter, one.backend) for one in plan.variants),
        machine=digest_machine(),
    )


def _types(values: Iterable[object]) -> list[type]:
    return [type(value) for value in values]
