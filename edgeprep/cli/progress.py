"""The steps of a conversion on stderr: a spinner while one runs, one line when it has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console

__all__ = ["Steps"]


class Steps:
    """A `Progress` for people; colour and movement only where stderr is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def __call__(self, title: str) -> Iterator[Callable[[str], None]]:
        """One step: its line shows a tick or a cross, the title, what came out, and seconds."""
        start = perf_counter()
        results: list[str] = []
        try:
            with self._console.status(title):
                yield results.append
        finally:
            seconds = perf_counter() - start
            mark = "[green]✓[/]" if results else "[red]✗[/]"
            text = results[0] if results else "failed"
            self._console.print(f"{mark} {title}: ", end="")
            self._console.print(f"{text} ({seconds:.1f} s)", markup=False)
