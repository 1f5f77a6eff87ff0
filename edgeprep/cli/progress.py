"""The steps of a conversion on stderr: a spinner while one runs, one line when it has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import click
from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from edgeprep.cli.output import one_line
from edgeprep.cli.stopping import check_stopped
from edgeprep.conversion import Progress
from edgeprep.data import WARNING

__all__ = ["Steps", "only_warnings", "stopping"]


class Steps:
    """A `Progress` for people; colour and movement only where stderr is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        plain = self._console.options.ascii_only
        self._spinner = "line" if plain else "dots"
        self._marks = ("ok", "failed") if plain else ("✓", "✗")
        self._status: Status | None = None

    def show(self, content: RenderableType) -> None:
        """Say of the step that runs what it is at, in the place of its title."""
        if self._status is not None:
            self._status.update(content)

    @contextmanager
    def __call__(self, title: str) -> Iterator[Callable[[str], None]]:
        """One step: its line shows a tick or a cross, the title, what came out, and seconds."""
        if title == WARNING:
            yield _tell_warning
            return
        start = perf_counter()
        results: list[str] = []
        without, passed = "failed", False
        try:
            with self._console.status(Text(title), spinner=self._spinner) as self._status:
                yield results.append
            passed = bool(results)
        except KeyboardInterrupt:
            without = "interrupted"
            raise
        finally:
            self._status = None
            seconds = perf_counter() - start
            done, failed = self._marks
            mark = (done, "green") if passed else (failed, "red")
            text = results[0] if results else without
            self._console.print(Text.assemble(mark, f" {title}: {text} ({seconds:.1f} s)"))


@contextmanager
def only_warnings(title: str) -> Iterator[Callable[[str], None]]:
    """A `Progress` for those who want none: warnings are told all the same."""
    yield _tell_warning if title == WARNING else lambda _: None


def stopping(progress: Progress) -> Progress:
    """`progress`, but no step begins or succeeds after a signal that a library swallowed."""

    @contextmanager
    def step(title: str) -> Iterator[Callable[[str], None]]:
        check_stopped()
        with progress(title) as done:

            def end(text: str) -> None:
                check_stopped()
                done(text)

            yield end

    return step


def _tell_warning(text: str) -> None:
    click.echo(f"warning: {one_line(text)}", err=True)
