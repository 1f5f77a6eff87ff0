"""A film file at its own pace, as if a camera sent it, or as fast as it is read."""

from collections.abc import Iterable, Iterator
from threading import Event
from time import monotonic
from typing import Any

from numpy import uint8
from numpy.typing import NDArray

from edgeprep.films.frame import FilmFrame

__all__ = ["Played", "Whole"]


class Played:
    """Gives each picture of a film when it is due.

    Args:
        film: its frames, with their times; closed with this.
    """

    # Of a film that ends too early, reading fails.
    is_whole = True

    def __init__(self, film: Any) -> None:
        self._film = film
        self._stopped = Event()

    def __iter__(self) -> Iterator[NDArray[uint8]]:
        """The pictures, `(H, W, 3)`, uint8, RGB; each waits until it is due."""
        frames: Iterable[FilmFrame] = self._film
        began = monotonic()
        for frame in frames:
            self._stopped.wait(max(began + frame.time_s - monotonic(), 0.0))
            if self._stopped.is_set():
                return
            yield frame.picture

    def stop(self) -> None:
        """Let the iteration end at once; from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Let go of the film."""
        self._film.close()


class Whole:
    """Gives each picture of a film as soon as it is asked for, with its time.

    Args:
        film: its frames; closed with this.
    """

    is_whole = True

    def __init__(self, film: Any) -> None:
        self._film = film

    def __iter__(self) -> Iterator[FilmFrame]:
        """The frames, as the film has them."""
        frames: Iterable[FilmFrame] = self._film
        return iter(frames)

    def stop(self) -> None:
        """Nothing: a frame is never waited for."""

    def close(self) -> None:
        """Let go of the film."""
        self._film.close()
