"""Streams that threads work out: in order, at the same time, bounded, and let go of."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import inf, nan
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, DTypeError, FilmError, ForkedRunnerError
from edgeprep.runtime import Session
from edgeprep.runtime.live.source_stream import _close_all
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.stages.stream import Stream

Pixels = NDArray[np.uint8]
Open = Callable[..., Session]
Grey = Callable[..., Pixels]
Level = Callable[[Any], float | None]

PATIENCE_S = 30.0


def wait_until(holds: Callable[[], bool]) -> None:
    until = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < until
        sleep(0.002)


def running() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.endswith(" pictures")]


def test_every_picture_has_an_answer_in_its_place(
    open_session: Open, grey: Grey, level: Level
) -> None:
    pictures = [grey(value) for value in (10, 30, 20, 40, 25)]
    with open_session().stream(pictures, policy="every", fps=10.0) as stream:
        answers = list(stream)
    assert [answer.index for answer in answers] == [0, 1, 2, 3, 4]
    assert [level(answer) for answer in answers] == [10, 30, 20, 40, 25]
    assert [answer.time_s for answer in answers] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [int(answer.picture[0, 0, 0]) for answer in answers] == [10, 30, 20, 40, 25]
    counts = stream.counts
    assert (counts.arrived, counts.answered, counts.connected) == (5, 5, 1)
    assert (counts.dropped, counts.failed, counts.waiting, counts.stalled) == (0, 0, 0, 0)


def test_a_camera_that_writes_into_one_picture_is_copied(
    open_session: Open, grey: Grey, level: Level
) -> None:
    def camera() -> Iterator[Pixels]:
        picture = grey(0)
        for value in range(40):
            picture[:] = value
            yield picture

    with open_session().stream(camera(), policy="every", queue=8) as stream:
        assert [level(answer) for answer in stream] == list(range(40))


def test_capture_preprocessing_and_network_work_at_the_same_time(
    open_session: Open, grey: Grey, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each waits for the two others: if they took turns, it would be for ever.
    meeting = threading.Barrier(3, timeout=PATIENCE_S)

    def camera() -> Iterator[Pixels]:
        yield grey(1)
        yield grey(2)
        meeting.wait()
        yield grey(3)

    class Network(fakes.Right):  # type: ignore[misc, name-defined]
        def compute(self, image: Pixels) -> Any:
            if image.flat[0] == 1:
                meeting.wait()
            return super().compute(image)

    def prepare(self: Stream, picture: Pixels, time_s: float | None = None) -> Pixels:
        if picture.flat[0] == 2:
            meeting.wait()
        return picture[None]

    monkeypatch.setattr(Stream, "prepare", prepare)
    with open_session(backend=Network()).stream(camera(), policy="every") as stream:
        assert len(list(stream)) == 3


def test_with_every_picture_no_more_wait_than_may(open_session: Open, grey: Grey) -> None:
    given = []

    def camera() -> Iterator[Pixels]:
        for value in range(100):
            given.append(value)
            yield grey(value)

    with open_session().stream(camera(), policy="every", queue=2) as stream:
        wait_until(lambda: stream.counts.waiting == 6)
        sleep(0.05)
        # Two in each of three places, and one in the hands of whoever reads, and of who answers.
        assert stream.counts.waiting == 6
        assert len(given) == 8
        assert len(list(stream)) == 100
    assert stream.counts.dropped == 0


def test_who_takes_answers_slowly_gets_the_newest(
    open_session: Open, grey: Grey, level: Level
) -> None:
    seen = threading.Event()

    def camera() -> Iterator[Pixels]:
        for value in range(10):
            yield grey(value)
        assert seen.wait(PATIENCE_S)

    session = open_session()
    with session.stream(camera(), policy="newest") as stream:
        wait_until(lambda: stream.counts.dropped == 9)
        answer = next(stream)
        seen.set()
        assert (level(answer), answer.index) == (9, 9)
        assert list(stream) == []
    assert (stream.counts.arrived, stream.counts.dropped) == (10, 9)
    assert session.meter.pictures_dropped == 9


def test_an_answer_is_at_most_two_pictures_old_however_slowly_it_is_taken(
    open_session: Open, grey: Grey
) -> None:
    period_s = 0.05

    def camera() -> Iterator[Pixels]:
        while True:
            sleep(period_s)
            yield grey(7)

    with open_session().stream(camera(), policy="newest") as stream:
        next(stream)
        ages = []
        for _ in range(4):
            sleep(6 * period_s)
            answer = next(stream)
            ages.append(monotonic() - answer.arrived_s)
        dropped = stream.counts.dropped
    # In the middle: this machine may be busy with something else.
    assert sorted(ages)[1] < 2 * period_s
    assert dropped >= 16


def test_a_picture_without_a_result_takes_no_place(
    open_session: Open, grey: Grey, level: Level
) -> None:
    answered, seen = threading.Semaphore(0), threading.Event()

    def camera() -> Iterator[Pixels]:
        for value in range(10, 15):
            yield grey(value)
            # That none is dropped before.
            assert answered.acquire(timeout=PATIENCE_S)
        assert seen.wait(PATIENCE_S)

    with open_session(Frames(every=3)).stream(camera(), policy="newest") as stream:
        for count in range(1, 6):
            wait_until(lambda: stream.counts.answered == count)  # noqa: B023
            answered.release()
        answer = next(stream)
        seen.set()
        # The fourth, and not the fifth, which the stage drops.
        assert (answer.index, level(answer)) == (3, 13)


def test_a_picture_that_is_none_is_an_error_in_its_place_and_the_next_one_is_answered(
    open_session: Open, grey: Grey, level: Level
) -> None:
    pictures = [grey(1), grey(2).astype(np.float32), grey(3)]
    with open_session().stream(pictures, policy="every") as stream:
        assert level(next(stream)) == 1
        with pytest.raises(
            DTypeError, match=r"^picture: must have dtype uint8, .* got 'float32'; "
        ):
            next(stream)
        assert level(next(stream)) == 3
        assert list(stream) == []
    assert (stream.counts.answered, stream.counts.failed) == (3, 1)


def test_an_engine_that_fails_is_an_error_in_its_place(
    open_session: Open, grey: Grey, fakes: SimpleNamespace
) -> None:
    class Once(fakes.Right):  # type: ignore[misc, name-defined]
        def compute(self, image: Pixels) -> Any:
            if image.flat[0] == 2:
                raise BackendError("once: must run, got a fault")
            return super().compute(image)

    pictures = [grey(value) for value in (1, 2, 3)]
    with open_session(backend=Once()).stream(pictures, policy="every") as stream:
        next(stream)
        with pytest.raises(BackendError, match=r"^once: must run, got a fault$"):
            next(stream)
        assert next(stream).index == 2


def test_what_the_pictures_raise_comes_after_the_last_of_them_and_is_the_end(
    open_session: Open, grey: Grey
) -> None:
    def camera() -> Iterator[Pixels]:
        yield grey(1)
        raise FilmError("camera: is gone")

    session = open_session()
    with session.stream(camera(), policy="every") as stream:
        assert next(stream).index == 0
        with pytest.raises(FilmError, match=r"^camera: is gone$"):
            next(stream)
        assert list(stream) == []
    (event,) = session.events.kept
    assert (event.kind, event.message) == ("stream", "camera: is gone")
    assert event.details == {"source": "pictures", "state": "over"}


def test_streams_at_once_on_one_session_remember_their_own(
    open_session: Open, grey: Grey, level: Level
) -> None:
    session = open_session(FrameDifference())
    film = [grey(value) for value in (10, 30, 30, 25)]
    with (
        session.stream(film, policy="every") as one,
        session.stream(film[::-1], policy="every") as other,
    ):
        pairs = [(level(a), level(b)) for a, b in zip(one, other, strict=True)]
    assert pairs == [(0, 0), (20, 5), (0, 0), (5, 20)]


def test_many_streams_share_one_engine(open_session: Open, grey: Grey, level: Level) -> None:
    session = open_session(FrameDifference())
    films = [[grey(start + step * step) for step in range(12)] for start in range(8)]
    streams = [session.stream(film, policy="every") for film in films]
    for stream in streams:
        assert [level(answer) for answer in stream] == [0, *range(1, 23, 2)]
        stream.close()


def test_reset_begins_another_film(open_session: Open, grey: Grey, level: Level) -> None:
    go_on = threading.Event()

    def camera() -> Iterator[Pixels]:
        yield grey(10)
        yield grey(30)
        assert go_on.wait(PATIENCE_S)
        yield grey(80)
        yield grey(81)

    with open_session(FrameDifference()).stream(camera(), policy="every") as stream:
        assert [level(next(stream)), level(next(stream))] == [0, 20]
        stream.reset()
        go_on.set()
        assert [level(answer) for answer in stream] == [0, 1]


def test_reset_before_the_first_picture_forgets_nothing_after_it(
    open_session: Open, grey: Grey, level: Level
) -> None:
    go_on = threading.Event()

    def camera() -> Iterator[Pixels]:
        assert go_on.wait(PATIENCE_S)
        yield from (grey(10), grey(30), grey(45))

    with open_session(FrameDifference()).stream(camera(), policy="every") as stream:
        stream.reset()
        go_on.set()
        assert [level(answer) for answer in stream] == [0, 20, 15]


def test_errors_of_a_stream_are_counted_by_their_class(open_session: Open, grey: Grey) -> None:
    def camera() -> Iterator[Any]:
        yield grey(1)
        yield "no picture"
        raise FilmError("camera: is gone")

    session = open_session()
    stream = session.stream(camera(), policy="every")
    stream.follow(lambda answer: None, fault=lambda error: None)
    assert stream.join(PATIENCE_S)
    assert session.meter.errors == {"DTypeError": 1, "FilmError": 1}
    with pytest.raises(ZeroDivisionError, match=r"^integer division or modulo by zero$"):
        list(session.stream((1 // value for value in (0,)), policy="every"))  # type: ignore[misc]  # that is the test
    assert session.meter.errors == {"DTypeError": 1, "FilmError": 1, "ZeroDivisionError": 1}


def test_a_clock_that_knows_no_time_at_first_is_believed_later(
    open_session: Open, grey: Grey
) -> None:
    times = iter([nan, inf, 100.0, 100.5, 101.0])
    pictures = [grey(value) for value in range(5)]
    with open_session().stream(pictures, policy="every", clock=lambda: next(times)) as stream:
        stamps = [answer.time_s for answer in stream]
    assert stamps == pytest.approx([0, 0, 0, 0.5, 1.0], abs=1e-5)
    assert all(a < b for a, b in pairwise(stamps))


@pytest.mark.parametrize("fails_at", [0, 1], ids=["prepares", "answers"])
def test_where_the_system_has_no_thread_left_a_stream_is_refused_and_leaves_none(
    open_session: Open, grey: Grey, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    session = open_session()
    real, begun = threading.Thread.start, []

    def start(self: threading.Thread) -> None:
        begun.append(self)
        if len(begun) > fails_at:
            raise RuntimeError("can't start new thread")
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        message = (
            "^stream of pictures: must have one more thread of the system, "
            'got "can\'t start new thread"$'
        )
        with pytest.raises(BackendError, match=message):
            session.stream((grey(1) for _ in range(10**9)), policy="every")
    wait_until(lambda: running() == [])
    with session.stream([grey(1)], policy="every") as stream:
        assert len(list(stream)) == 1


def test_where_no_thread_can_read_a_source_that_is_its_end(
    open_session: Open, grey: Grey, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name.startswith("edgeprep reads"):
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    message = '^pictures: must have a thread that reads it, got "can\'t start new thread"$'
    with (
        open_session().stream([grey(1)], policy="every") as stream,
        pytest.raises(FilmError, match=message),
    ):
        next(stream)


def test_another_size_is_another_film(open_session: Open, grey: Grey, level: Level) -> None:
    pictures = [grey(10), grey(30), grey(50, (6, 8)), grey(51, (6, 8)), grey(90)]
    with open_session(FrameDifference()).stream(pictures, policy="every") as stream:
        assert [level(answer) for answer in stream] == [0, 20, 0, 1, 0]


def test_times_grow_though_a_clock_goes_back(open_session: Open, grey: Grey) -> None:
    times = iter([100.0, 100.5, 3.0, 3.5, 3.5])
    pictures = [grey(value) for value in range(5)]
    with open_session().stream(pictures, policy="every", clock=lambda: next(times)) as stream:
        stamps = [answer.time_s for answer in stream]
    assert stamps == pytest.approx([0, 0.5, 0.5, 1.0, 1.0], abs=1e-5)
    assert all(a < b for a, b in pairwise(stamps))


def test_a_session_that_is_closed_ends_its_streams(open_session: Open, grey: Grey) -> None:
    forever = threading.Event()

    def camera() -> Iterator[Pixels]:
        yield grey(1)
        forever.wait(PATIENCE_S)

    session = open_session()
    stream = session.stream(camera(), policy="newest")
    next(stream)
    threading.Timer(0.05, session.close).start()
    message = r"^session 'means': must be open, got a call after close\(\)$"
    # It waits for a picture that never comes.
    with pytest.raises(ClosedError, match=message):
        next(stream)
    assert list(stream) == []
    forever.set()
    wait_until(lambda: running() == [])


def test_streams_that_begin_at_once_all_end_with_their_session(
    open_session: Open, grey: Grey, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeprep.runtime.live import streams as room

    # Both threads are here before the first of them has gone on.
    both = threading.Barrier(2)
    real = room.Streams.__init__

    def slowly(self: Any, *given: Any) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        real(self, *given)

    monkeypatch.setattr(room.Streams, "__init__", slowly)
    forever, session = threading.Event(), open_session()

    def camera() -> Iterator[Pixels]:
        yield grey(1)
        forever.wait(PATIENCE_S)

    opened: list[Any] = []
    begin = [
        threading.Thread(target=lambda: opened.append(session.stream(camera(), policy="newest")))
        for _ in range(2)
    ]
    for thread in begin:
        thread.start()
    for thread in begin:
        thread.join()
    for stream in opened:
        next(stream)
    session.close()
    for stream in opened:
        stopped = threading.Timer(PATIENCE_S, stream.close)
        stopped.start()
        with pytest.raises(ClosedError, match=r"^session 'means': must be open, got a call after"):
            next(stream)
        stopped.cancel()
    forever.set()


def test_a_stream_that_is_closed_gives_nothing_and_leaves_no_thread(
    open_session: Open, grey: Grey
) -> None:
    stream = open_session().stream((grey(1) for _ in range(10**9)), policy="every")
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []
    assert running() == []


def test_a_stream_that_is_closed_while_somebody_waits_lets_him_go(
    open_session: Open, grey: Grey
) -> None:
    forever = threading.Event()

    def camera() -> Iterator[Pixels]:
        yield grey(1)
        forever.wait(PATIENCE_S)

    stream = open_session().stream(camera(), policy="newest")
    threading.Timer(0.1, stream.close).start()
    assert [answer.index for answer in stream] == [0]
    forever.set()


def test_a_stream_that_nobody_holds_ends(open_session: Open, grey: Grey) -> None:
    stream = open_session().stream((grey(1) for _ in range(10**9)), policy="every")
    next(stream)
    holder = [stream]
    holder.append(holder)  # type: ignore[arg-type]  # a cycle, that only the collector finds
    del stream, holder
    gc.collect()
    wait_until(lambda: running() == [])


# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_fork_of_a_process_with_streams_is_told_so_and_ends(
    open_session: Open, grey: Grey
) -> None:
    session = open_session()
    stream = session.stream((grey(1) for _ in range(10**9)), policy="newest")
    next(stream)
    for _ in range(20):
        # Locks may be held by threads that a fork has not.
        child = os.fork()
        if child == 0:
            found = 1
            try:
                next(stream)
            except ForkedRunnerError as error:
                message = "stream of pictures: must be used in the process that opened it, got a"
                found = 0 if str(error) == f"{message} fork" else 2
            finally:
                stream.close()
                session.close()
                _close_all()
                os._exit(found)
        until = monotonic() + PATIENCE_S
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            assert monotonic() < until
            sleep(0.002)
        assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert next(stream).result is not None
    stream.close()


def test_a_process_ends_though_streams_run_and_a_driver_hangs(write: Any, manifest: Any) -> None:
    script = f"""
import sys, time, numpy as np
sys.path.insert(0, {__file__!r}.rpartition("/live/")[0])
from types import SimpleNamespace
from conftest import Right
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.stages.chain import Chain
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import ImageSpec
from threading import Event
chain = Chain(input=ImageSpec(), stages=())
runner = Right().load(SimpleNamespace(files={{"model.fake": b""}}), None, {{}})
session = NetworkSession(name="means", input=chain.input, chain=chain, host=chain, runner=runner,
    task=Tensors(), outcomes=(), remembered=False)
picture = np.zeros((4, 4, 3), np.uint8)
def hanging():
    yield picture
    Event().wait()
streams = [session.stream(hanging(), policy="newest") for _ in range(4)]
streams += [session.stream((picture for _ in range(10**9)), policy="newest") for _ in range(4)]
for stream in streams:
    next(stream)
print(time.monotonic())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert monotonic() - float(done.stdout) < 3
    assert done.stderr == ""
