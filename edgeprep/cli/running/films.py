"""A film from its first frame to its last."""

from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO

from edgeprep.cli.running.answers import Answers, FilmDone, Place, line_of
from edgeprep.cli.running.followed import Followed
from edgeprep.cli.running.sources import lines_of, make_directory
from edgeprep.errors import InputError, OutputError
from edgeprep.files import atomic_open
from edgeprep.films import FilmFrame, open_film, write_film
from edgeprep.runtime import Session

if TYPE_CHECKING:
    from edgeprep.films._read import Film

__all__ = ["run_film"]

# Of a film that does not say: as most do.
_FPS = Fraction(25)
# Matroska and WebM have times in milliseconds, of which a steady rate becomes an uneven one.
_ROUNDED_S = 0.002


def run_film(
    session: Session,
    path: str,
    target: Path | None,
    answers: Answers,
    *,
    overwrite: bool,
    every: int = 1,
) -> None:
    """Give `answers` the result of every frame, and write them drawn to `target`.

    What comes before a fault is kept: the written film is whole as far as it goes.

    Args:
        session: that answers.
        path: of the film.
        target: where it is written; None: nowhere.
        answers: is told of each.
        overwrite: whether what is at `target` is replaced.
        every: of a network of clips, at every so-manieth frame there is a result.

    Raises:
        InputError: the film is none, or not to its end.
        OutputError: some frames have no finite result.
        StorageError: the film cannot be read, or its copy cannot be written; that appears not.
    """
    began = perf_counter()
    fault: Exception | None = None
    followed = Followed(session, path, every)
    with ExitStack() as stack:
        film = stack.enter_context(open_film(path))
        drawn = _Drawn(stack, session, target, film, overwrite=overwrite)
        frames = dropped = 0
        try:
            for frame, result in followed.results(film, partial(_time_of, film.fps or _FPS)):
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
    followed.refused.check()


def _time_of(fps: Fraction, frame: FilmFrame) -> float:
    """When `frame` is shown, in seconds; what was rounded to be stored is as it was before."""
    steady_s = float(frame.index / fps)
    return steady_s if abs(frame.time_s - steady_s) < _ROUNDED_S else frame.time_s


class _Drawn:
    """The drawn copy of a film and its results, which begin with its first frame."""

    def __init__(
        self,
        stack: ExitStack,
        session: Session,
        target: Path | None,
        source: "Film",
        *,
        overwrite: bool,
    ) -> None:
        self._stack = stack
        self._source = source
        # Overlays and what stands beside a frame say how large a drawn one is; words do not.
        self._is_plain = not session.task.spatial
        self._target = target
        self._fps = source.fps or _FPS
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
        if self._target is None or (self._last is None and not self._is_plain):
            return
        # Here and not above: it needs Pillow, and most films are not drawn.
        from edgeprep.drawing import draw, marks_of

        marks = () if self._last is None else marks_of(self._last)
        picture = draw(frame.picture, marks, words="inside")
        if self._lines is None or self._film is None:
            make_directory(self._target.parent)
            self._lines = self._stack.enter_context(
                atomic_open(lines_of(self._target), overwrite=self._overwrite)
            )
            self._film = self._stack.enter_context(
                write_film(
                    self._target,
                    fps=self._fps,
                    aspect=self._source.aspect,
                    overwrite=self._overwrite,
                )
            )
        self._film.add(picture, _time_of(self._fps, frame))
        if result is not None:
            self._lines.write(f"{line_of(place, result)}\n".encode())
