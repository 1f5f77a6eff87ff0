"""A camera, an address, or a film at its own pace: the newest picture wins."""

from time import monotonic
from typing import Protocol

import click
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.cli.output import one_line
from edgeprep.cli.running.answers import Answers, FilmDone, Place
from edgeprep.cli.running.meter import Meter
from edgeprep.cli.running.refused import Refused
from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import OutputError
from edgeprep.films import is_address
from edgeprep.films.names import without_password
from edgeprep.runtime import Session
from edgeprep.runtime.live import Answer, SourceStream

__all__ = ["LiveOptions", "Screen", "live_name", "run_live"]

_LINE_EVERY_S = 1.0


class Screen(Protocol):
    """Where people look."""

    def show(self, picture: NDArray[np.uint8]) -> bool:
        """Show a picture; whether people want to see more."""

    def close(self) -> None:
        """Let go of it."""


class LiveOptions(Struct, frozen=True, kw_only=True):
    """How a live source is followed.

    Attributes:
        timeout_s: for how long it may send nothing.
        reconnect: how often in a row it is tried again.
        every: of a network of clips, at every so-manieth picture there is a result.
    """

    timeout_s: float
    reconnect: int = 0
    every: int = 1


def live_name(source: str) -> str:
    """What a source is called in results and messages: without its password."""
    if is_address(source):
        return without_password(source)
    return f"camera {source}" if source.isdecimal() else source


def run_live(
    session: Session,
    source: str,
    answers: Answers,
    screen: Screen | None,
    options: LiveOptions,
) -> None:
    """Give `answers` the results of `source` until it ends, or `screen` is closed.

    Where there is no screen, a line every second says on stderr how fast it goes.

    Raises:
        StreamStalled: nothing came for too long, and new tries came to nothing.
        FilmError: it cannot be opened or read; likewise.
        OutputError: at the end, where some pictures had no finite result.
    """
    watch = _Watch(answers, screen, live_name(source))
    dropped = 0
    try:
        with _open(session, source, options) as stream:
            try:
                _follow(stream, watch)
            finally:
                dropped = stream.counts.dropped
    finally:
        watch.end(dropped)
    watch.refused.check()


class _Watch:
    """What people see of a live source, and what it comes to at its end.

    Attributes:
        refused: the pictures that had no finite result.
    """

    def __init__(self, answers: Answers, screen: Screen | None, name: str) -> None:
        self.refused = Refused(name)
        self._name = name
        self._frames = 0
        self._left_out = 0
        self._answers = answers
        self._screen = screen
        self._meter = Meter()
        self._began = self._said = monotonic()

    def answer(self, answer: Answer, dropped: int) -> bool:
        """An answer came; whether people want to see more."""
        if answer.result is None:
            self._left_out += 1
            return True
        place = Place(self._name, self._frames + self._left_out, answer.arrived_s - self._began)
        self._answers.result(place, answer.result)
        self._frames += 1
        # With what is drawn and shown, which people wait for, too.
        more = self._screen is None or self._screen.show(self._drawn(answer, dropped))
        self._meter.add(answer.arrived_s)
        if self._screen is None and monotonic() - self._said >= _LINE_EVERY_S:
            self._said = monotonic()
            click.echo(f"edgeprep: {one_line(self._name)}: {self._meter.line(dropped)}", err=True)
        return more

    def refuse(self, error: OutputError) -> None:
        """A picture has no finite result."""
        self.refused.add(error)
        self._left_out += 1

    def end(self, dropped: int) -> None:
        """No more will come."""
        if self._screen is not None:
            self._screen.close()
        seconds = monotonic() - self._began
        self._answers.film(FilmDone(self._name, self._frames, dropped + self._left_out, seconds))

    def _drawn(self, answer: Answer, dropped: int) -> NDArray[np.uint8]:
        # Here and not above: it needs Pillow, which a device without a screen does without.
        from edgeprep.drawing import draw, marks_of
        from edgeprep.marks import Text

        pace = Text(self._meter.line(dropped))
        return draw(answer.picture, (*marks_of(answer.result), pace), words="inside")


def _open(session: Session, source: str, options: LiveOptions) -> SourceStream:
    return session.stream(
        int(source) if source.isdecimal() else source,
        every=options.every,
        policy="newest",
        timeout_s=options.timeout_s,
        reconnect=options.reconnect,
    )


def _follow(stream: SourceStream, watch: _Watch) -> None:
    while True:
        check_stopped()
        try:
            answer = next(stream)
        except StopIteration:
            return
        except OutputError as error:
            watch.refuse(error)
            continue
        if not watch.answer(answer, stream.counts.dropped):
            return
