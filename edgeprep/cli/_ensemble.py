"""The heavy half of `edgeprep ensemble`."""

from pathlib import Path
from typing import Any

from edgeprep.cli._evaluate import lines_of
from edgeprep.cli.progress import Steps, only_warnings, stopping
from edgeprep.ensembles import ensemble
from edgeprep.recipe import EnsembleRecipe

__all__ = ["run"]


def run(
    recipe: EnsembleRecipe, output: Path, *, overwrite: bool, quiet: bool
) -> tuple[str, dict[str, Any]]:
    """The result as a table and as a document."""
    progress = stopping(only_warnings if quiet else Steps())
    result = ensemble(recipe, output, overwrite=overwrite, progress=progress)
    lines = [] if result.evaluation is None else lines_of(result.evaluation)
    return "\n".join([*lines, str(result.bundle)]), result.to_json()
