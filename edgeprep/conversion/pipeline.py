"""The conversion: recipe in, one bundle out, every gate in between."""

from contextlib import closing
from os import PathLike

from edgeprep.conversion.budget import check_budget
from edgeprep.conversion.pack import pack
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.result import Result
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.data import Progress, silent
from edgeprep.errors import EdgePrepError, StorageError
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry, default_registry

__all__ = ["convert"]


def convert(
    recipe: Recipe | str | PathLike[str],
    output: str | PathLike[str],
    *,
    overwrite: bool = False,
    fresh: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> Result:
    """Make the bundle that `recipe` describes.

    Every variant is exported, loaded in its engine, held to the source network on held-out
    samples, and scored on the evaluation data. The bundle appears when all gates are passed.

    Args:
        recipe: a recipe, or the path of its TOML file.
        output: the bundle to write.
        overwrite: whether a file that is there already may be replaced.
        fresh: whether compression steps that a conversion before this one did are done again.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the recipe breaks a rule; nothing has been done.
        CheckpointError: the weights do not fit, or are not safe to read.
        DataError: calibration or evaluation data cannot be used.
        BackendUnavailable: a library that a target needs is not installed.
        ConvertError: a compression pass failed.
        ExportError: a format cannot be written.
        BackendError: an engine fails on what was exported.
        ParityError: a variant does not compute what the source computes.
        BudgetError: a variant loses more than the recipe's budget.
        StorageError: the output or a temporary file cannot be written; `OutputExists` where the
            output is there already.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    registry = registry or default_registry()
    plan = make_plan(recipe, output, overwrite=overwrite, registry=registry)
    try:
        with scratch_directory() as scratch, closing(plan.chain):
            conversion = Conversion(
                plan=plan,
                registry=registry,
                progress=progress,
                scratch=scratch,
                steps=Steps(fresh=fresh),
            )
            made = conversion.make()
            check_budget(plan.recipe.budget, made)
            conversion.check_limits(made)
            with progress("pack") as done:
                manifest = pack(
                    plan, conversion.sources, conversion.oracles, made, overwrite=overwrite
                )
                done(f"{plan.output}, {plan.output.stat().st_size:,} bytes")
            return Result(
                bundle=plan.output,
                manifest=manifest,
                skipped=conversion.skipped(),
                trials={variant.record.name: variant.trials for variant in made},
            )
    except EdgePrepError:
        raise
    except OSError as error:
        place = error.filename or "conversion"
        rule = "must be a file that can be used"
        raise StorageError(f"{place}: {rule}, got {error.strerror!r}") from error
