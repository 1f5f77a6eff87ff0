"""What happens to sessions while a command runs, as lines on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from edgeprep.cli.output import one_line

__all__ = ["events_on_stderr"]


class _Lines(logging.Handler):
    """Writes an event as the command's own words, and all else as logging does by itself."""

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "edgeprep_event", None)
        # With the end of its source the command itself ends, and says so.
        if event is not None and event.details.get("state") == "over":
            return
        if event is not None:
            click.echo(f"edgeprep: {one_line(event.message)}", err=True)
        elif logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.emit(record)


@contextmanager
def events_on_stderr() -> Iterator[None]:
    """Inside, every event is a line, unless there is a handler of the log that shows it."""
    logger = logging.getLogger("edgeprep")
    if logger.hasHandlers():
        yield
        return
    handler = _Lines()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
