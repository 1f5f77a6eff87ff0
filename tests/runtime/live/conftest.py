"""Sessions on an engine of numpy, whose results are means of channels, and what they follow."""

from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.interfaces import Stage
from edgeprep.runtime import Session
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.stages.chain import Chain
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import ImageSpec

Pixels = NDArray[np.uint8]
# No test waits for longer, and none needs a hundredth of it.
PATIENCE_S = 30.0


@pytest.fixture
def open_session(fakes: SimpleNamespace) -> Iterator[Callable[..., Session]]:
    """Opens a session with these stages, on a backend of `fakes`."""
    opened = []

    def make(*stages: Stage, backend: Any = None, image: ImageSpec | None = None) -> Session:
        runner = (backend or fakes.Right()).load(
            SimpleNamespace(files={"model.fake": b"means"}), None, {}
        )
        chain = Chain(input=image or ImageSpec(), stages=stages)
        opened.append(
            NetworkSession(
                name="means",
                input=chain.input,
                chain=chain,
                host=chain,
                runner=runner,
                task=Tensors(),
                outcomes=(),
                remembered=False,
            )
        )
        return opened[-1]

    yield make
    for session in opened:
        session.close()


@pytest.fixture
def level() -> Callable[[Any], float | None]:
    """The mean of the first channel, which an answer is."""

    def of(answer: Any) -> float | None:
        return None if answer.result is None else float(answer.result.arrays[0].ravel()[0])

    return of


@pytest.fixture
def grey() -> Callable[..., Pixels]:
    """A picture of one level."""

    def make(level: int, size: tuple[int, int] = (4, 4)) -> Pixels:
        return np.full((*size, 3), level, np.uint8)

    return make


class Script:
    """A source that sends pictures of these levels; where it meets an event, it waits for it."""

    is_whole = False

    def __init__(self, *steps: Any, size: tuple[int, int] = (4, 4)) -> None:
        self.steps = steps
        self.size = size
        self.stopped = Event()
        self.closed = Event()

    def __iter__(self) -> Iterator[Pixels]:
        for step in self.steps:
            if isinstance(step, Event):
                while not (step.wait(0.005) or self.stopped.is_set()):
                    pass
            elif isinstance(step, Exception):
                raise step
            elif isinstance(step, tuple):
                self.size = step
            else:
                yield np.full((*self.size, 3), step, np.uint8)

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Puts scripts in the place of cameras, one for each connection, and takes no time to wait.

    `waited` has the seconds of each wait, and `go_on` has to be set before any ends.
    """
    waited: list[float] = []
    go_on = Event()
    go_on.set()

    def put(*sources: Any) -> None:
        left = iter(sources)

        def connect(source: str, *, timeout_s: float) -> Any:
            opened = next(left)
            if isinstance(opened, Exception):
                raise opened
            return opened

        monkeypatch.setattr("edgeprep.runtime.live.sources.open_source", connect)

    def wait(self: Any, wait_s: float, over: Event) -> None:
        waited.append(wait_s)
        while not (go_on.wait(0.005) or over.is_set()):
            pass

    monkeypatch.setattr("edgeprep.runtime.live.back_off.BackOff.wait", wait)
    monkeypatch.setattr("edgeprep.runtime.live.back_off.random", lambda: 0.0)
    return SimpleNamespace(put=put, waited=waited, go_on=go_on, Script=Script)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something holds."""

    def wait(holds: Callable[[], bool]) -> None:
        until = monotonic() + PATIENCE_S
        while not holds():
            assert monotonic() < until
            sleep(0.002)

    return wait
