"""The threads of streams: where the system has none left, and how all of them end."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, FilmError, ForkedRunnerError
from edgeprep.runtime import Session
from edgeprep.runtime.live.source_stream import _close_all

Pixels = NDArray[np.uint8]
Open = Callable[..., Session]
Grey = Callable[..., Pixels]
Level = Callable[[Any], float | None]
Wait = Callable[[Callable[[], bool]], None]

PATIENCE_S = 30.0


def running() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.endswith(" pictures")]


@pytest.mark.parametrize("fails_at", [0, 1], ids=["prepares", "answers"])
def test_where_the_system_has_no_thread_left_a_stream_is_refused_and_leaves_none(
    open_session: Open, wait_until: Wait, grey: Grey, monkeypatch: pytest.MonkeyPatch, fails_at: int
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


def test_a_session_that_is_closed_ends_its_streams(
    open_session: Open, wait_until: Wait, grey: Grey
) -> None:
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


def test_a_stream_that_nobody_holds_ends(open_session: Open, wait_until: Wait, grey: Grey) -> None:
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
folder = {__file__!r}.rpartition("/live/")[0]
sys.path[:0] = folder, folder + "/../fakes"
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
