"""No two locks of a session are ever taken in both orders, whoever calls it and whatever fails."""

import linecache
import os
import re
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
import edgeprep.runtime.hosted  # with all that has locks
from edgeprep.errors import BackendCrashed, BackendError
from edgeprep.runtime import Recheck

KINDS = ("Lock", "RLock", "Semaphore", "Condition")
Edge = tuple[str, str]


class Watched:
    """A lock that notes which others its thread has in hand when it is taken."""

    edges: set[Edge]
    taken: set[str]
    mine = threading.local()

    def __init__(self, name: str, lock: Any) -> None:
        self.name = name
        self._lock = lock

    def acquire(self, *how: Any) -> bool:
        held: list[Watched] = self.mine.__dict__.setdefault("held", [])
        if self not in held:  # else it is taken again, which waits for nobody
            self.edges.update((other.name, self.name) for other in held)
        is_taken: bool = self._lock.acquire(*how)
        if is_taken:
            self.taken.add(self.name)
            held.append(self)
        return is_taken

    def release(self) -> None:
        self.mine.held.remove(self)
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *fault: object) -> None:
        self.release()


def watched(kind: str, *given: Any) -> Any:
    """A lock of this kind, named by where it is made, such as "roster._lock"."""
    maker = sys._getframe(1)
    line = linecache.getline(maker.f_code.co_filename, maker.f_lineno)
    (attribute,) = re.findall(r"(\w+)(?:: [^=]+)? = ", line)
    name = f"{Path(maker.f_code.co_filename).stem}.{attribute}"
    if kind == "Condition":
        return threading.Condition(Watched(name, threading.Lock()))  # type: ignore[arg-type]
    return Watched(name, getattr(threading, kind)(*given))


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> set[Edge]:
    """Which locks of the whole package were taken with which in hand."""
    found: set[Edge] = set()
    monkeypatch.setattr(Watched, "edges", found, raising=False)
    monkeypatch.setattr(Watched, "taken", set(), raising=False)
    ours = [module for name, module in sys.modules.items() if name.startswith("edgeprep.")]
    for module in ours:
        for kind in KINDS:
            if getattr(module, kind, None) is getattr(threading, kind):
                monkeypatch.setattr(module, kind, partial(watched, kind))
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
    assert not is_acyclic({("a", "a")})  # two that are made in one place


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

    assert answers(session, picture, threads=8, calls=80) == ["green"] * 640
    session.close()
    assert session.events.counts["failure"]
    # A link that is loaded becomes known with its own lock in hand.
    assert ("slot.loading", "roster._lock") in edges
    assert is_acyclic(edges), edges


def answers(
    session: edgeprep.Session, picture: NDArray[np.uint8], *, threads: int, calls: int
) -> list[str]:
    """The labels that so many threads get at once, of so many calls each."""
    labels: list[str] = []

    def call() -> None:
        for _ in range(calls):
            labels.append(session(picture).label)

    callers = [threading.Thread(target=call) for _ in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return labels


PLUGIN = """
import numpy as np
from edgeprep.interfaces import Backend, Device, Runner
from edgeprep.tensors import TensorSpec


class Means(Runner):
    inputs = outputs = ()

    def __init__(self, batch):
        shape = (batch, 4, 4, 3)
        self.inputs = (TensorSpec(name="image", shape=shape, dtype="uint8"),)
        self.outputs = (TensorSpec(name="logits", shape=(batch, 3), dtype="float32"),)

    def run(self, inputs):
        return (inputs[0].mean(axis=(1, 2), dtype=np.float32),)

    def close(self):
        pass


class One(Backend):
    name = "one"
    formats = ("fake",)
    widths = ("batch",)

    def devices(self):
        return (Device(name="cpu", kind="cpu"),)

    def options(self, device, precision):
        return ({"calls": 2, "batch": 2},)

    def load(self, model, device, options):
        return Means(options.get("batch", 1))

    def versions(self):
        return {}


class Two(One):
    name = "two"
"""


@pytest.fixture
def wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Engines, "one" and "two", that workers can import: two calls at once, two pictures a call."""
    (tmp_path / "wide_engines.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    import wide_engines  # type: ignore[import-not-found]

    yield wide_engines
    del sys.modules["wide_engines"]


def test_locks_of_workers_pools_and_batches_are_taken_in_one_order(
    edges: set[Edge],
    bundle: Path,
    fakes: SimpleNamespace,
    wide: Any,
    picture: NDArray[np.uint8],
) -> None:
    registry = fakes.registry(wide.One, wide.Two)
    session: Any = edgeprep.open(bundle, isolate=True, probe=False, registry=registry)
    for _ in range(3):
        # Whichever answers: the chosen one, then it again, then what stands in for it.
        worker = session._runner.worker_pid
        killer = threading.Timer(0.02, os.kill, (worker, signal.SIGKILL))
        killer.start()
        assert answers(session, picture, threads=6, calls=60) == ["green"] * 360
        killer.join()
        assert answers(session, picture, threads=2, calls=2) == ["green"] * 4
        session._runner._tending.background.wait()
    assert session.events.counts["failure"] >= 3
    session.close()
    assert {"batching._changed", "pool._places", "runner._changing"} <= Watched.taken
    assert {"backend._lock", "worker._asking", "worker._dying"} <= Watched.taken
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
