"""No two locks of a session are ever taken in both orders, whoever calls it and whatever fails."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.errors import BackendCrashed, BackendError
from edgeprep.monitor import events, meter
from edgeprep.runtime import Recheck, background, kept, roster, slot

MODULES = (background, events, kept, meter, roster, slot)
Edge = tuple[str, str]


class Watched:
    """A lock that notes which others its thread has in hand when it is taken."""

    edges: set[Edge]
    held = threading.local()

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        mine = self.held.__dict__.setdefault("names", [])
        self.edges.update((other, self._name) for other in mine)
        self._lock.acquire()
        mine.append(self._name)

    def __exit__(self, *fault: object) -> None:
        self._lock.release()
        self.held.names.remove(self._name)


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> set[Edge]:
    found: set[Edge] = set()
    monkeypatch.setattr(Watched, "edges", found, raising=False)
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, "Lock", lambda name=name: Watched(name))
    return found


def is_acyclic(edges: set[Edge]) -> bool:
    """Whether nothing comes before itself."""
    left = set(edges)
    while left:
        last = {edge for edge in left if edge[1] not in {first for first, _ in left}}
        if not last:
            return False
        left -= last
    return True


def test_a_cycle_is_seen() -> None:
    assert is_acyclic({("a", "b"), ("b", "c"), ("a", "c")})
    assert not is_acyclic({("a", "b"), ("b", "c"), ("c", "a")})


def test_locks_are_taken_in_one_order(
    edges: set[Edge], bundle: Path, fakes: SimpleNamespace, picture: NDArray[np.uint8]
) -> None:
    random = np.random.default_rng(3)

    class Moody(fakes.Right):  # type: ignore[misc,name-defined]
        name = "moody"

        def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
            mood = random.random() if threading.current_thread().name != "MainThread" else 1.0
            if mood < 0.05:
                raise BackendCrashed("moody: must live, got its death")
            if mood < 0.15:
                raise RuntimeError("device lost")
            return np.asarray(super().compute(image))

    def listen(event: Any) -> None:
        session.health()
        session.metrics()

    registry = fakes.registry(Moody, fakes.Right)
    options: dict[str, Any] = {"probe": False, "registry": registry, "recheck": Recheck(runs=20)}
    session = edgeprep.open(bundle, on_event=listen, **options)

    def call() -> None:
        for _ in range(80):
            assert session(picture).label == "green"

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.close()
    assert session.events.counts["failure"]
    # A link that is loaded becomes known with its own lock in hand: the only two at once.
    assert ("slot", "roster") in edges
    assert is_acyclic(edges), edges


def test_nothing_waits_for_itself_where_listeners_and_logs_call_and_raise(
    bundle: Path, fakes: SimpleNamespace, picture: NDArray[np.uint8]
) -> None:
    import logging

    class Failing(fakes.Right):  # type: ignore[misc,name-defined]
        name = "one"
        broken = False

        def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
            if type(self).broken:
                raise BackendError("one: must run, got a lost device")
            return np.asarray(super().compute(image))

    class Calling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert session(picture).label == "green"
            raise OSError("disk full")

    registry = fakes.registry(Failing, fakes.Right)
    session = edgeprep.open(bundle, probe=False, registry=registry)
    handler, logger = Calling(), logging.getLogger("edgeprep")
    logger.addHandler(handler)
    try:
        Failing.broken = True
        thread = threading.Thread(target=lambda: session(picture), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    finally:
        logger.removeHandler(handler)
        session.close()
