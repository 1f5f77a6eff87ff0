"""Runners for several calls at once and several pictures a call: right answers, and no waiting."""

import itertools
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.burst import measure_busy
from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Runner
from edgeprep.runtime import batching
from edgeprep.runtime.batching import BatchingRunner
from edgeprep.runtime.pool import Pool
from edgeprep.tensors import TensorSpec

Arrays = tuple[NDArray[Any], ...]


class Doubling(Runner):
    """Gives each of `size` numbers twice itself; holds on where it is told to."""

    def __init__(self, size: int, during: Callable[[], object] = bool) -> None:
        self.inputs = (TensorSpec(name="x", shape=(size, 2), dtype="float32"),)  # type: ignore[misc]
        self.outputs = (TensorSpec(name="y", shape=(size, 2), dtype="float32"),)  # type: ignore[misc]
        self.during = during
        self.calls: list[list[float]] = []
        self.closed = False

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def run(self, inputs: Sequence[NDArray[Any]]) -> Arrays:
        if self.closed:
            raise ClosedError("runner: must be open, got a call after close()")
        (x,) = inputs
        assert x.shape == self.inputs[0].shape
        self.calls.append(x[:, 0].tolist())
        self.during()
        return (x * 2,)

    def close(self) -> None:
        self.closed = True


def request(value: float) -> Arrays:
    return (np.full((1, 2), value, np.float32),)


class Callers:
    """Threads that each ask once, and what became of it."""

    def __init__(self, runner: Runner, values: Sequence[float]) -> None:
        self.answers: dict[float, Any] = {}
        self._runner = runner
        self._threads = [threading.Thread(target=self._ask, args=(value,)) for value in values]
        for thread in self._threads:
            thread.start()

    def _ask(self, value: float) -> None:
        try:
            self.answers[value] = self._runner.run(request(value))[0].tolist()
        except Exception as error:  # noqa: BLE001 -- it is what is asked for
            self.answers[value] = error

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass by the clock of batches, however busy the machine is."""
    now = [0.0]

    def passes(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(batching, "perf_counter", lambda: now[0])
    return passes


def queued(runner: BatchingRunner) -> int:
    return len(runner._queue)


def test_a_lone_caller_has_single_pictures_and_never_waits() -> None:
    single, many = Doubling(1), Doubling(4)
    runner = BatchingRunner(single, many, batch=4)
    for value in range(5):
        assert runner.run(request(value))[0].tolist() == [[value * 2, value * 2]]
    assert single.calls == [[0], [1], [2], [3], [4]]
    assert many.calls == []
    assert runner.inputs == single.inputs
    assert runner.outputs == single.outputs


def test_those_who_wait_are_answered_together_and_each_with_its_own(gate: threading.Event) -> None:
    single, many = Doubling(1, gate.wait), Doubling(4)
    runner = BatchingRunner(single, many, batch=4)
    first = Callers(runner, [7])
    wait_for(lambda: single.calls == [[7]])
    others = Callers(runner, [1, 2, 3, 4])
    wait_for(lambda: queued(runner) == 4)
    gate.set()
    first.join()
    others.join()
    assert others.answers == {value: [[value * 2] * 2] for value in (1, 2, 3, 4)}
    assert [sorted(call) for call in many.calls] == [[1, 2, 3, 4]]


def test_places_that_become_free_together_are_all_taken(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake, together = threading.Event(), threading.Barrier(2)

    class Sleepy(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(timeout) and awake.wait(10)

    monkeypatch.setattr("edgeprep.runtime.batching.Event", Sleepy)

    def during() -> None:
        if len(single.calls) > 3:
            together.wait(2)  # of those who waited, both are inside
        elif len(single.calls) > 1:
            gate.wait(10)

    single, many = Doubling(1, during), Doubling(8, lambda: time.sleep(0.05))
    runner = BatchingRunner(single, many, batch=8, calls=2)
    # Batches are not worth it.
    runner.run_together([request(0)] * 8)
    runner.run(request(0))
    first = Callers(runner, [1, 2])
    wait_for(lambda: len(single.calls) == 3)
    others = Callers(runner, [3, 4])
    wait_for(lambda: queued(runner) == 2)
    gate.set()
    first.join()
    awake.set()
    others.join()
    assert others.answers == {value: [[value * 2] * 2] for value in (3, 4)}


def test_what_is_inside_says_which_process_it_is_in_and_whether_that_is_lost() -> None:
    inside, many = Doubling(1), Doubling(4)
    runner = BatchingRunner(Pool([inside, Doubling(1)]), Pool([many, Doubling(4)]), batch=4)
    assert (runner.worker_pid, runner.is_lost) == (None, False)
    inside.worker_pid, many.is_lost = 7, True  # type: ignore[attr-defined]
    assert (runner.worker_pid, runner.is_lost) == (7, True)


def test_a_batch_that_is_not_full_is_filled_up(
    gate: threading.Event,
) -> None:
    single, many = Doubling(1, gate.wait), Doubling(4)
    runner = BatchingRunner(single, many, batch=4)
    first = Callers(runner, [7])
    wait_for(lambda: single.calls == [[7]])
    others = Callers(runner, [1, 2, 3])
    wait_for(lambda: queued(runner) == 3)
    gate.set()
    first.join()
    others.join()
    assert others.answers == {value: [[value * 2] * 2] for value in (1, 2, 3)}
    ((*_, last, filling),) = many.calls
    assert last == filling
    assert {*many.calls[0]} == {1, 2, 3}


@pytest.mark.parametrize(
    ("batch_s", "together"),
    [(0.05, {1: 0, 2: 0, 3: 1, 4: 1}), (0.001, {1: 0, 2: 1, 3: 1, 4: 1})],
)
def test_so_many_go_together_as_take_less_time_so_than_one_by_one(
    passes: Callable[[float], None], batch_s: float, together: dict[int, int]
) -> None:
    single, many = Doubling(1, lambda: passes(0.02)), Doubling(4, lambda: passes(batch_s))
    runner = BatchingRunner(single, many, batch=4)
    runner.run(request(0))
    runner.run_together([request(0)] * 4)
    for count, batches in together.items():
        before = len(single.calls), len(many.calls)
        found = runner.run_together([request(value) for value in range(count)])
        assert [outputs[0].tolist() for outputs in found] == [[[2 * v] * 2] for v in range(count)]
        made = len(single.calls) - before[0], len(many.calls) - before[1]
        assert made == ((0, 1) if batches else (count, 0))


def test_what_was_slow_once_is_tried_again(passes: Callable[[float], None]) -> None:
    waits = iter([0.1])
    single = Doubling(1, lambda: passes(0.01))
    many = Doubling(4, lambda: passes(next(waits, 0.001)))
    runner = BatchingRunner(single, many, batch=4)
    runner.run(request(0))
    runner.run_together([request(0)] * 4)
    runner.run_together([request(0)] * 3)
    assert (len(single.calls), len(many.calls)) == (4, 1)
    runner.run_together([request(0)] * 4)
    runner.run_together([request(0)] * 3)
    assert (len(single.calls), len(many.calls)) == (4, 3)


def test_who_is_called_and_finds_the_engine_taken_is_answered_all_the_same(
    gate: threading.Event,
) -> None:
    single = Doubling(1, gate.wait)
    runner = BatchingRunner(single, Doubling(4), batch=4)
    callers = Callers(runner, [1, 2, 3])
    wait_for(lambda: queued(runner) == 2)
    # As often as the engine is left, and another call comes before the thread that was called.
    for waiting in list(runner._queue):
        waiting.turn.set()
    wait_for(lambda: not any(waiting.turn.is_set() for waiting in list(runner._queue)))
    assert queued(runner) == 2
    gate.set()
    callers.join()
    assert callers.answers == {value: [[value * 2] * 2] for value in (1, 2, 3)}


def test_so_many_calls_at_once_as_it_is_told_are_in_the_engine(gate: threading.Event) -> None:
    single = Doubling(1, gate.wait)
    runner = BatchingRunner(single, Doubling(4), batch=4, calls=2)
    callers = Callers(runner, [1, 2, 3])
    wait_for(lambda: len(single.calls) == 2 and queued(runner) == 1)
    gate.set()
    callers.join()
    assert callers.answers == {value: [[value * 2] * 2] for value in (1, 2, 3)}


def test_where_calls_came_together_the_next_waits_a_little_for_the_others(
    gate: threading.Event,
) -> None:
    def busy() -> None:
        gate.wait()
        time.sleep(0.02)

    single, many = Doubling(1, busy), Doubling(3, lambda: time.sleep(0.02))
    runner = BatchingRunner(single, many, batch=3)
    callers = Callers(runner, [0, 1, 2, 3])
    wait_for(lambda: queued(runner) == 3)
    gate.set()
    callers.join()
    assert [len(call) for call in many.calls] == [3]
    assert runner._crowd == 3
    # At most 5 ms of waiting, where the last call took 20.
    assert runner._patience_s == 0.005
    # Alone again: it waits once for those who are gone, and then no more.
    runner.run(request(9))
    assert runner._crowd == 1
    assert many.calls[1:] == []


def test_an_error_of_a_batch_is_that_of_each_in_it(gate: threading.Event) -> None:
    def fail() -> None:
        raise BackendError("engine: must run, got a lost device")

    single, many = Doubling(1, gate.wait), Doubling(3, fail)
    runner = BatchingRunner(single, many, batch=3)
    first = Callers(runner, [7])
    wait_for(lambda: single.calls == [[7]])
    others = Callers(runner, [1, 2, 3])
    wait_for(lambda: queued(runner) == 3)
    gate.set()
    first.join()
    others.join()
    assert first.answers == {7: [[14.0, 14.0]]}
    said = {value: str(error) for value, error in others.answers.items()}
    assert said == dict.fromkeys((1, 2, 3), "engine: must run, got a lost device")
    errors = {id(error) for error in others.answers.values()}
    assert len(errors) == 3  # tracebacks of threads do not get mixed
    many.during = bool
    assert runner.run(request(5))[0].tolist() == [[10.0, 10.0]]


class Coded(Exception):
    """As those of many libraries: made of something else than what it says."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")


def test_an_error_that_cannot_be_copied_is_told_as_it_is(gate: threading.Event) -> None:
    def fail() -> None:
        raise Coded(7, "lost device")

    single, many = Doubling(1, gate.wait), Doubling(2, fail)
    runner = BatchingRunner(single, many, batch=2)
    first = Callers(runner, [7])
    wait_for(lambda: single.calls == [[7]])
    others = Callers(runner, [1, 2])
    wait_for(lambda: queued(runner) == 2)
    gate.set()
    first.join()
    others.join()
    said = sorted(f"{type(error).__name__}: {error}" for error in others.answers.values())
    assert said == [
        ("BackendError: batch: the call that computes it must run, got Coded: lost device (7)"),
        "Coded: lost device (7)",
    ]
    causes = {error.__cause__ for error in others.answers.values()}
    assert {type(cause) for cause in causes} == {type(None), Coded}


def test_an_interruption_of_the_thread_that_computes_frees_the_others(
    gate: threading.Event,
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    single, many = Doubling(1, gate.wait), Doubling(2, interrupt)
    runner = BatchingRunner(single, many, batch=2)
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            runner.run(request(1))
        except BaseException as error:  # noqa: BLE001 -- it is what is asked for
            caught.append(error)

    first = Callers(runner, [7])
    wait_for(lambda: single.calls == [[7]])
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: queued(runner) == 2)
    gate.set()
    first.join()
    for thread in threads:
        thread.join(10)
    kinds = sorted(type(error).__name__ for error in caught)
    assert kinds == ["BackendError", "KeyboardInterrupt"]
    (said,) = (str(error) for error in caught if isinstance(error, BackendError))
    assert said == ("batch: the call that computes it must end, got an interruption of its thread")
    many.during = bool
    assert runner.run(request(5))[0].tolist() == [[10.0, 10.0]]


def test_requests_that_come_together_are_computed_together() -> None:
    single, many = Doubling(1), Doubling(4)
    runner = BatchingRunner(single, many, batch=4)
    found = runner.run_together([request(value) for value in range(9)])
    assert [outputs[0].tolist() for outputs in found] == [[[2 * v, 2 * v]] for v in range(9)]
    assert many.calls == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert single.calls == [[8]]
    assert runner.batch == 4


def test_a_closed_runner_says_so_to_those_who_wait(gate: threading.Event) -> None:
    single, many = Doubling(1, gate.wait), Doubling(2)
    runner = BatchingRunner(single, many, batch=2)
    callers = Callers(runner, [1, 2, 3])
    wait_for(lambda: queued(runner) == 2)
    runner.close()
    gate.set()
    callers.join()
    errors = [type(answer) for answer in callers.answers.values()]
    assert errors.count(ClosedError) == 2


def test_many_threads_get_the_answers_to_their_own_questions() -> None:
    # As long as an engine takes, so that calls overlap.
    single, many = (Doubling(size, lambda: time.sleep(0.0005)) for size in (1, 4))
    runner = BatchingRunner(single, many, batch=4, calls=2)
    wrong: list[float] = []

    def ask(first: int) -> None:
        for value in range(first, first + 100):
            (found,) = runner.run(request(value))
            if found.tolist() != [[value * 2, value * 2]]:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(index * 1000,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert wrong == []
    assert len(many.calls) > 0
    assert runner._places == 2
    assert queued(runner) == 0


@pytest.mark.parametrize(
    ("many", "said"),
    [
        (Doubling(3), "batch: input 'x' must have shape (4, 2) for 4 pictures, got (3, 2)"),
        (Doubling(1), "batch: input 'x' must have shape (4, 2) for 4 pictures, got (1, 2)"),
    ],
    ids=["three", "one"],
)
def test_a_runner_that_does_not_take_so_many_is_refused(many: Runner, said: str) -> None:
    with pytest.raises(BackendError, match=f"^{re.escape(said)}$"):
        BatchingRunner(Doubling(1), many, batch=4)


def test_what_is_measured_of_full_batches_is_a_pictures_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    single, many = Doubling(1), Doubling(4)
    runner = BatchingRunner(single, many, batch=4)
    asked: list[Any] = []

    def measured(inputs: Arrays, calls: int) -> list[float]:
        asked.append((inputs[0].shape, calls))
        return [8.0, 12.0]

    monkeypatch.setattr(many, "measure_busy", measured)
    assert runner.measure_busy(request(1), 3) == [2.0, 3.0]
    assert asked == [((4, 2), 3)]
    assert single.calls == []
    runner.measure_burst(request(1))
    assert len(single.calls) > 1
    assert many.calls == []


def test_so_many_threads_keep_it_busy_and_share_the_time() -> None:
    inside: list[int] = []
    most = 0

    def call() -> None:
        nonlocal most
        inside.append(1)
        most = max(most, len(inside))
        time.sleep(0.004)
        inside.pop()

    times = measure_busy(call, 4)
    assert most == 4
    # Of 4 ms each, as four end in that time; a machine with other work sleeps longer, never less.
    assert min(times) >= 1.0
    assert len(times) >= 4


@pytest.mark.parametrize("healthy", [0, 9], ids=["at once", "later"])
def test_an_error_in_a_thread_that_keeps_it_busy_ends_them_all(healthy: int) -> None:
    calls = itertools.count()

    def call() -> None:
        if next(calls) >= healthy:
            raise BackendError("engine: must run, got a lost device")

    with pytest.raises(BackendError, match=r"^engine: must run, got a lost device$"):
        measure_busy(call, 3)


def test_a_pool_gives_each_call_a_runner_of_its_own(gate: threading.Event) -> None:
    runners = [Doubling(1, gate.wait) for _ in range(2)]
    pool = Pool(runners)
    callers = Callers(pool, [1, 2, 3])
    wait_for(lambda: sum(len(runner.calls) for runner in runners) == 2)
    assert [len(runner.calls) for runner in runners] == [1, 1]
    gate.set()
    callers.join()
    assert callers.answers == {value: [[value * 2] * 2] for value in (1, 2, 3)}
    assert pool.inputs == runners[0].inputs
    assert pool.outputs == runners[0].outputs
    pool.close()
    assert [runner.closed for runner in runners] == [True, True]
    with pytest.raises(ClosedError, match=r"^runner: must be open, got a call after close\(\)$"):
        pool.run(request(1))


class Stuck(Doubling):
    """Cannot be closed."""

    def close(self) -> None:
        raise BackendError("engine: must close, got a lost device")


@pytest.mark.parametrize("stuck", range(3))
def test_all_of_a_pool_are_closed_where_one_cannot_be(stuck: int) -> None:
    runners = [(Stuck if index == stuck else Doubling)(1) for index in range(3)]
    with pytest.raises(BackendError, match=r"^engine: must close, got a lost device$"):
        Pool(runners).close()
    assert [runner.closed for runner in runners] == [index != stuck for index in range(3)]


def test_batches_are_closed_where_single_pictures_cannot_be() -> None:
    many = Doubling(2)
    with pytest.raises(BackendError, match=r"^engine: must close, got a lost device$"):
        BatchingRunner(Stuck(1), many, batch=2).close()
    assert many.closed


def test_a_runner_that_fails_stays_in_its_pool() -> None:
    def fail() -> None:
        raise BackendError("engine: must run, got a lost device")

    runner = Doubling(1, fail)
    pool = Pool([runner])
    with pytest.raises(BackendError, match=r"^engine: must run, got a lost device$"):
        pool.run(request(1))
    runner.during = bool
    assert pool.run(request(3))[0].tolist() == [[6.0, 6.0]]
