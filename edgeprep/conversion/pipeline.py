"""The conversion: recipe in, one bundle out, every gate in between."""

from contextlib import closing
from os import PathLike

from edgeprep.conversion.budget import check_budget
from edgeprep.conversion.digests import digest
from edgeprep.conversion.noted import Noted
from edgeprep.conversion.pack import pack
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.result import Result
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.conversion.variants import MadeVariant
from edgeprep.data import Progress, silent
from edgeprep.errors import BudgetError, EdgePrepError, StorageError
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
        BudgetError: a variant loses more than the recipe's budget, or cannot be quantized so that
            it can be used; its `reached` has what was tried.
        StorageError: the output or a temporary file cannot be written, or another conversion is
            about to write it; `OutputExists` where it is there already.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    registry = registry or default_registry()
    plan = make_plan(recipe, output, overwrite=overwrite, registry=registry)
    steps, noted = Steps(fresh=fresh), Noted(progress)
    claim = digest(output=str(plan.output.resolve()))
    rule = f"{plan.output}: must be written by one conversion at a time"
    try:
        with steps.claim(claim, rule), scratch_directory() as scratch, closing(plan.chain):
            conversion = Conversion(
                plan=plan, registry=registry, progress=noted, scratch=scratch, steps=steps
            )
            made = _made(conversion, noted)
            with progress("pack") as done:
                manifest = pack(
                    plan,
                    conversion.sources,
                    conversion.oracles,
                    made,
                    conversion.references(),
                    overwrite=overwrite,
                )
                done(f"{plan.output}, {plan.output.stat().st_size:,} bytes")
            return Result(
                bundle=plan.output,
                manifest=manifest,
                skipped=conversion.skipped(),
                trials={variant.record.name: variant.trials for variant in made},
                warnings=tuple(noted.warnings),
            )
    except EdgePrepError:
        raise
    except OSError as error:
        place = error.filename or "conversion"
        rule = "must be a file that can be used"
        raise StorageError(f"{place}: {rule}, got {error.strerror!r}") from error


def _made(conversion: Conversion, noted: Noted) -> list[MadeVariant]:
    """All variants, within the budget."""
    try:
        made = conversion.make()
        check_budget(conversion.plan.recipe.budget, made)
        conversion.check_limits(made)
    except BudgetError as error:
        trials = {
            name: [one.to_json() for one in tried] for name, tried in conversion.tried.items()
        }
        error.reached = {"warnings": noted.warnings, "trials": trials}
        raise
    return made
