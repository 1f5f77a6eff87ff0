"""What happens to sessions while a command runs, as lines on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from edgeprep.cli.output import one_line

__all__ = ["events_on_stderr"]


class _Lines(logging.Handler):
    """Writes an event as the command's own words.

    Args:
        alone: whether nothing else handles what is logged; then it writes that, too, as logging
            does by itself where there is no handler.
    """

    def __init__(self, *, alone: bool) -> None:
        super().__init__()
        self._alone = alone

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "edgeprep_event", None)
        if event is None:
            last = logging.lastResort if self._alone else None
            if last is not None and record.levelno >= last.level:
                last.emit(record)
        # A source that is back is seen by its results; with its end the command ends, and says so.
        elif event.details.get("state") not in ("back", "over"):
            click.echo(f"edgeprep: {one_line(event.message)}", err=True)


@contextmanager
def events_on_stderr() -> Iterator[None]:
    """Inside, every event is a line, unless the log itself goes to stderr."""
    logger = logging.getLogger("edgeprep")
    shown = [*logger.handlers, *logging.getLogger().handlers]
    if any(isinstance(one, _Lines) or getattr(one, "stream", None) is sys.stderr for one in shown):
        yield
        return
    handler = _Lines(alone=not shown)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
