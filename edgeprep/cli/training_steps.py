"""The epochs of a training on stderr: a bar while one runs, one line when it has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edgeprep.cli.progress import Steps
from edgeprep.train.watching import Tick

__all__ = ["TrainingSteps"]

_BAR = 30  # characters


class TrainingSteps(Steps):
    """Steps of which some have steps of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._title = ""

    @contextmanager
    def __call__(self, title: str) -> Iterator[Callable[[str], None]]:
        """As `Steps`."""
        self._title = title
        with super().__call__(title) as done:
            yield done

    def watch(self, tick: Tick) -> None:
        """Show how far the epoch is."""
        line = Table.grid(padding=(0, 1))
        line.add_row(
            Text(self._title),
            ProgressBar(total=tick.steps, completed=tick.step, width=_BAR),
            Text(f"{tick.step}/{tick.steps}  loss {tick.loss:.4f}"),
        )
        self.show(line)
