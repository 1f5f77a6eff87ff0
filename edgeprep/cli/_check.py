"""The heavy half of `edgeprep check`."""

from edgeprep.cli.progress import Steps, stopping
from edgeprep.conversion import Progress, silent
from edgeprep.conversion.advice import Advice, advise
from edgeprep.recipe import Recipe

__all__ = ["run"]


def run(recipe: Recipe, *, size: tuple[int, int] | None, quiet: bool) -> Advice:
    """What was measured."""
    progress: Progress = silent if quiet else Steps()
    return advise(recipe, size=size, progress=stopping(progress))
