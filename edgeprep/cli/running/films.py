"""A film from its first frame to its last."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeprep.cli.running.answers import Answers, FilmDone, Place, line_of
from edgeprep.cli.running.sources import lines_of, make_directory
from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import InputError, OutputError
from edgeprep.files import atomic_open
from edgeprep.films import FilmFrame, open_film, write_film
from edgeprep.runtime import Session, from_rgb

__all__ = ["run_film"]

# Of a film that does not say: as most do.
_FPS = Fraction(25)


def run_film(
    session: Session, path: str, target: Path | None, answers: Answers, *, overwrite: bool
) -> None:
    """Give `answers` the result of every frame, and write them drawn to `target`.

    What comes before a fault is kept: the written film is whole as far as it goes.

    Raises:
        InputError: the film is none, or not to its end.
        OutputError: a frame has no finite result.
        StorageError: the film cannot be read, or its copy cannot be written; that appears not.
    """
    began = perf_counter()
    fault: Exception | None = None
    with ExitStack() as stack:
        film = stack.enter_context(open_film(path))
        drawn = _Drawn(stack, target, film.fps or _FPS, overwrite=overwrite)
        waiting: deque[FilmFrame] = deque()
        frames = dropped = 0
        fps = None if film.fps is None else float(film.fps)
        try:
            for result in session.stream(_pictures(film, session, waiting), fps=fps):
                frame = waiting.popleft()
                place = Place(path, frame.index, frame.time_s)
                if result is None:
                    dropped += 1
                else:
                    frames += 1
                    answers.result(place, result)
                drawn.add(frame, place, result)
        except (InputError, OutputError) as error:
            fault = error
    seconds = perf_counter() - began
    goes = None if target is None or drawn.is_empty else str(target)
    answers.film(FilmDone(path, frames, dropped, seconds, goes))
    if fault is not None:
        raise fault if str(fault).startswith(path) else type(fault)(f"{path}: {fault}") from fault


def _pictures(
    film: Any, session: Session, waiting: deque[FilmFrame]
) -> Iterator[NDArray[np.uint8]]:
    for frame in film:
        check_stopped()
        waiting.append(frame)
        yield from_rgb(frame.picture, session.input)


class _Drawn:
    """The drawn copy of a film and its results, which begin with its first frame."""

    def __init__(
        self, stack: ExitStack, target: Path | None, fps: Fraction, *, overwrite: bool
    ) -> None:
        self._stack = stack
        self._target = target
        self._fps = fps
        self._overwrite = overwrite
        self._film: Any = None
        self._lines: BinaryIO | None = None
        self._last: Any = None

    @property
    def is_empty(self) -> bool:
        return self._film is None

    def add(self, frame: FilmFrame, place: Place, result: Any) -> None:
        """Draw `result` into `frame`; where there is none, that of the frame before."""
        self._last = self._last if result is None else result
        # Without any result yet, it is not known how large a drawn frame is.
        if self._target is None or self._last is None:
            return
        # Here and not above: it needs Pillow, and most films are not drawn.
        from edgeprep.drawing import draw, marks_of

        picture = draw(frame.picture, marks_of(self._last), words="inside")
        if self._lines is None or self._film is None:
            make_directory(self._target.parent)
            self._lines = self._stack.enter_context(
                atomic_open(lines_of(self._target), overwrite=self._overwrite)
            )
            self._film = self._stack.enter_context(
                write_film(self._target, fps=self._fps, overwrite=self._overwrite)
            )
        self._film.add(picture, frame.time_s)
        if result is not None:
            self._lines.write(f"{line_of(place, result)}\n".encode())
