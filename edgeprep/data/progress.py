"""How long work tells what it does, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["WARNING", "Progress", "silent", "warn"]

# The title of a step that is none: what is said in it is for those, too, who want no progress.
WARNING = "warning"


class Progress(Protocol):
    """Opens one step: `with progress("export onnx-int8") as done: …; done("212 kB")`.

    Leaving the block without a call of `done`, or with an exception, means that the step failed.
    """

    def __call__(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """A step named `title`; what is entered takes the one line that says how it ended."""
        ...


@contextmanager
def silent(title: str) -> Iterator[Callable[[str], None]]:
    """A progress that nobody sees."""
    yield lambda _: None


def warn(progress: Progress, text: str) -> None:
    """Tell `progress` what a user should know."""
    with progress(WARNING) as done:
        done(text)
