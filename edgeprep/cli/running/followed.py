"""A stream's results, each beside what it is of."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from edgeprep.cli.running.refused import Refused
from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import OutputError
from edgeprep.films import FilmFrame
from edgeprep.runtime import Session, from_rgb

__all__ = ["Followed"]


class Followed:
    """Gives each frame with its result, by iterating over it once.

    A frame without a finite result is one without a result; the first such is named at once.

    Args:
        session: that answers.
        name: of the film, for messages.
        every: see `Session.stream`.

    Attributes:
        refused: those that had no finite result.
    """

    def __init__(self, session: Session, name: str, every: int = 1) -> None:
        self.refused = Refused(name)
        self._session = session
        self._every = every

    def results(
        self, frames: Iterable[FilmFrame], time_of: Callable[[FilmFrame], float]
    ) -> Iterator[tuple[FilmFrame, Any]]:
        """Each of `frames`, with its result; None where there is none.

        Args:
            frames: of one film.
            time_of: when one was taken, in seconds.

        Raises:
            InputError: the session cannot take them; and whatever `frames` raise.
        """
        waiting: deque[FilmFrame] = deque()
        pictures = self._pictures(frames, waiting)
        stream = self._session.stream(
            pictures, clock=lambda: time_of(waiting[-1]), every=self._every
        )
        while True:
            try:
                result = next(stream)
            except StopIteration:
                return
            except OutputError as error:
                result = None
                self.refused.add(error)
            yield waiting.popleft(), result

    def _pictures(self, frames: Iterable[FilmFrame], waiting: deque[FilmFrame]) -> Iterator[Any]:
        for frame in frames:
            check_stopped()
            waiting.append(frame)
            yield from_rgb(frame.picture, self._session.input)
