"""A camera, an address, or a film at its own pace: the newest picture wins."""

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any, Protocol

import click
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.cli.output import one_line
from edgeprep.cli.running.answers import Answers, FilmDone, Place
from edgeprep.cli.running.followed import Followed
from edgeprep.cli.running.meter import Meter
from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import FilmError
from edgeprep.films import is_address, open_film, open_source
from edgeprep.films.names import without_password
from edgeprep.films.newest import Arrived, LiveSource, Newest
from edgeprep.films.played import Played
from edgeprep.runtime import Session

__all__ = ["LiveOptions", "Screen", "live_name", "run_live"]

# Seconds before the first new try, doubled before each further one.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
# From there on the longest wait counts, and numbers need not grow any more.
_DOUBLINGS = 10
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
        wait: waits for so many seconds before a new try.
    """

    timeout_s: float
    reconnect: int = 0
    every: int = 1
    wait: Callable[[float], None] = sleep


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
    followed: Followed[Arrived] = Followed(session, watch.name, options.every)
    tries = 0
    try:
        while True:
            before = watch.frames
            try:
                more = _follow(followed, source, watch, options.timeout_s)
                # A file has its end; whoever asks for new tries expects none of an address.
                if not more or not options.reconnect or _is_file(source):
                    break
                fault = FilmError(f"{watch.name}: must go on sending, got its end")
            except FilmError as error:
                fault = error
            tries = 0 if watch.frames > before else tries
            if tries >= options.reconnect or _is_file(source):
                raise fault
            wait_s = min(_FIRST_WAIT_S * 2 ** min(tries, _DOUBLINGS), _LONGEST_WAIT_S)
            tries += 1
            rule = f"trying again in {wait_s:g} s, {tries} of {options.reconnect}"
            click.echo(f"edgeprep: {one_line(str(fault))}; {rule}", err=True)
            options.wait(wait_s)
            check_stopped()
    finally:
        watch.end()
    followed.check_refused()


class _Watch:
    """What people see of a live source, and what it comes to at its end."""

    def __init__(self, answers: Answers, screen: Screen | None, name: str) -> None:
        self.name = name
        self.frames = 0
        self.left_out = 0
        self.dropped = 0
        self._answers = answers
        self._screen = screen
        self._meter = Meter()
        self._began = self._said = monotonic()

    def result(self, arrived: Arrived, result: Any, dropped: int) -> bool:
        """A result came; whether people want to see more."""
        place = Place(self.name, self.frames + self.left_out, arrived.at_s - self._began)
        self._answers.result(place, result)
        self.frames += 1
        # With what is drawn and shown, which people wait for, too.
        more = self._screen is None or self._screen.show(self._drawn(arrived, result, dropped))
        self._meter.add(arrived.at_s)
        if self._screen is None and monotonic() - self._said >= _LINE_EVERY_S:
            self._said = monotonic()
            line = self._meter.line(self.dropped + dropped)
            click.echo(f"edgeprep: {one_line(self.name)}: {line}", err=True)
        return more

    def end(self) -> None:
        """No more will come."""
        if self._screen is not None:
            self._screen.close()
        dropped = self.dropped + self.left_out
        seconds = monotonic() - self._began
        self._answers.film(FilmDone(self.name, self.frames, dropped, seconds))

    def _drawn(self, arrived: Arrived, result: Any, dropped: int) -> NDArray[np.uint8]:
        # Here and not above: it needs Pillow, which a device without a screen does without.
        from edgeprep.drawing import draw, marks_of
        from edgeprep.marks import Text

        pace = Text(self._meter.line(self.dropped + dropped))
        return draw(arrived.picture, (*marks_of(result), pace), words="inside")


def _follow(followed: Followed[Arrived], source: str, watch: _Watch, timeout_s: float) -> bool:
    """Follow one connection to its end; False where people want to see no more."""
    # A film may show a frame for as long as it likes.
    patience_s = None if _is_file(source) else timeout_s
    with Newest(_connect(source, timeout_s), name=watch.name, timeout_s=patience_s) as newest:
        arriving = _Arriving(newest)
        try:
            while arriving.next is not None:
                for arrived, result in followed.results(arriving.of_one_size(), _time_of):
                    if result is None:
                        watch.left_out += 1
                    elif not watch.result(arrived, result, newest.dropped):
                        return False
        finally:
            watch.dropped += newest.dropped
    return True


class _Arriving:
    """The pictures of one connection.

    Attributes:
        next: the one that was not given yet; None at the end.
    """

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self.next = newest.take()

    def of_one_size(self) -> Iterator[Arrived]:
        """Until the size changes: what is remembered of earlier pictures is of no use then."""
        shape = None if self.next is None else self.next.picture.shape
        while self.next is not None and self.next.picture.shape == shape:
            yield self.next
            self.next = self._newest.take()


def _time_of(arrived: Arrived) -> float:
    return arrived.at_s


def _connect(source: str, timeout_s: float) -> Callable[[], LiveSource]:
    if _is_file(source):
        return lambda: Played(open_film(source), source)
    return lambda: open_source(source, timeout_s=timeout_s)


def _is_file(source: str) -> bool:
    return not is_address(source) and not source.isdecimal()
