"""The twin of films that needs PyAV: whatever PyAV raises, as an error of ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgeprep.errors import EdgePrepError

__all__ = ["told_as", "why"]


@contextmanager
def told_as(ours: Callable[[Exception], EdgePrepError]) -> Iterator[None]:
    """Raise what PyAV raises in this block as what `ours` makes of it.

    No code of a caller may run in the block, as its errors would be taken for those of a film.
    """
    try:
        yield
    except EdgePrepError:
        raise
    # NOTE: not FFmpegError alone. Of a stream that comes later than the others PyAV raises
    # IndexError, and what else it may raise is written nowhere.
    except Exception as error:
        raise ours(error) from error


def why(error: Exception) -> str:
    """What `error` says, for a message."""
    said = getattr(error, "strerror", None) or (str(error) if isinstance(error, ValueError) else "")
    return repr(said or f"{type(error).__name__}: {error}")
