"""What all commands have in common."""

import logging
import sys
from functools import partial
from typing import Any

import click

from edgeprep.cli.events import events_on_stderr
from edgeprep.cli.output import results_only
from edgeprep.errors import EdgePrepError

__all__ = ["Command", "verbose_option"]


class Command(click.Command):
    """A command of which only the result reaches stdout."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; with `--verbose`, what is behind an error of ours is shown whole."""
        try:
            with results_only(), events_on_stderr():
                return super().invoke(ctx)
        except EdgePrepError as error:
            if (cause := error.__cause__) is not None:
                logging.getLogger("edgeprep").debug("what is behind the error:", exc_info=cause)
            raise


def _let_libraries_speak(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    # Whoever silences a library does so only where the logger "edgeprep" is not at DEBUG.
    wanted = {logging.getLogger(): logging.INFO, logging.getLogger("edgeprep"): logging.DEBUG}
    for logger, level in wanted.items():
        ctx.call_on_close(partial(logger.setLevel, logger.level))
        logger.setLevel(level)
    logging.getLogger().addHandler(handler)
    ctx.call_on_close(partial(logging.getLogger().removeHandler, handler))


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_let_libraries_speak,
    help="Show on stderr what engines and converters print.",
)
