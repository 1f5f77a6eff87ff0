"""The fallback chain: who answers, after which failures, and that each change is an event."""

import re
from collections.abc import Callable, Sequence
from threading import Barrier, Condition, Thread
from threading import Event as Signal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeprep.errors import (
    BackendCrashed,
    BackendError,
    BackendWrongOutput,
    ClosedError,
    NoUsableBackend,
    StorageError,
)
from edgeprep.interfaces import Runner
from edgeprep.monitor import Event, Events
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.fallback import FallbackRunner
from edgeprep.runtime.links import Engine, Link
from edgeprep.runtime.recheck import Recheck
from edgeprep.tensors import TensorSpec

INPUT = (np.zeros((1, 2), np.uint8),)
MINUTE = 60.0


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A candidate whose every call goes as `behave` says, and that counts what it is asked.

    It answers its own number, so that a test sees who answered.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.loads = self.runs = self.closed = 0
        self.behave: Callable[[], object] = lambda: None
        self.load_fault: Exception | None = None
        self.error = 0.0  # on golden samples
        self.samples = 4
        self.checked: list[int] = []
        self.candidate = Candidate(variant=f"v{number}", backend=f"engine{number}", device="cpu")

    def link(self, *, proven: bool = True) -> Link:
        return Link(candidate=self.candidate, allowed=0.01, proven=proven, load=self.load)

    def load(self) -> Engine:
        self.loads += 1
        if self.load_fault is not None:
            raise self.load_fault
        return Engine(
            runner=FakeRunner(self), samples=self.samples, error=lambda index: self.check(index)
        )

    def check(self, index: int) -> float:
        self.checked.append(index)
        return self.error


class FakeRunner(Runner):
    inputs = (TensorSpec(name="image", shape=(1, 2), dtype="uint8"),)
    outputs = (TensorSpec(name="who", shape=(1,), dtype="float32"),)

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.is_closed = False

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        if self.is_closed:
            raise ClosedError("runner: must be open, got a call after close()")
        self.fake.runs += 1
        self.fake.behave()
        return (np.array([self.fake.number], np.float32),)

    def close(self) -> None:
        self.fake.closed += not self.is_closed
        self.is_closed = True


class Chain:
    """A runner over fakes, with its clock and the events that it told."""

    def __init__(self, count: int = 3, **given: Any) -> None:
        self.clock = Clock()
        self.fakes = [Fake(number) for number in range(count)]
        self.told: list[Event] = []
        first, *others = self.fakes
        self.runner = FallbackRunner(
            first.link(),
            first.load(),
            others=[fake.link() for fake in others],
            where="session 'means'",
            events=Events("means", self.told.append),
            clock=self.clock,
            **given,
        )

    def who(self) -> int:
        """The number of the fake that answers a call."""
        return int(self.runner.run(INPUT)[0][0])

    def rest(self) -> None:
        """Until nothing is done in the background."""
        self.runner._tending.background.wait()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.told]

    def state(self, number: int) -> str:
        return self.runner.health().links[number].state


def failing(error: Exception) -> Callable[[], object]:
    def behave() -> object:
        raise error

    return behave


def failing_in(calls: set[int], error: Exception) -> Callable[[], object]:
    count = 0

    def behave() -> None:
        nonlocal count
        count += 1
        if count in calls:
            raise error

    return behave


LOST = RuntimeError("device lost")
CRASH = BackendCrashed("engine0: must live, got its death by SIGSEGV")


def test_what_was_chosen_answers_and_nothing_else_is_loaded():
    chain = Chain()
    assert [chain.who() for _ in range(5)] == [0] * 5
    assert [fake.loads for fake in chain.fakes] == [1, 0, 0]
    health = chain.runner.health()
    assert (health.state, health.failures, health.golden) == ("ok", 0, None)
    assert health.chosen == health.answering == chain.fakes[0].candidate
    assert [link.state for link in health.links] == ["ready", "waiting", "waiting"]
    assert chain.told == []


def test_a_failed_call_is_answered_by_the_next_link_and_the_chosen_one_goes_on():
    chain = Chain()
    chain.fakes[0].behave = failing_in({2}, LOST)
    assert [chain.who() for _ in range(4)] == [0, 1, 0, 0]
    (event,) = chain.told
    assert (event.kind, event.candidate) == ("failure", "v0 engine0 cpu")
    assert event.message == (
        "v0 engine0 cpu failed: RuntimeError('device lost'); v1 engine1 cpu answered"
    )
    assert event.details == {
        "error": "RuntimeError",
        "failures": 1,
        "answered_by": "v1 engine1 cpu",
    }
    assert chain.runner.health().state == "ok"
    assert chain.runner.health().failures == 1


def test_after_three_failures_in_ten_minutes_the_next_link_answers():
    chain = Chain()
    chain.fakes[0].behave = failing(LOST)
    answers = []
    for _ in range(4):
        answers.append(chain.who())
        chain.clock.now += 3 * MINUTE
    assert answers == [1, 1, 1, 1]
    assert chain.fakes[0].runs == 3
    assert chain.kinds() == ["failure", "failure", "failure", "fallback"]
    fallback = chain.told[-1]
    assert fallback.candidate == "v1 engine1 cpu"
    assert fallback.details == {"instead_of": "v0 engine0 cpu"}
    assert fallback.message == (
        "v1 engine1 cpu answers from now on, not v0 engine0 cpu: RuntimeError('device lost')"
    )
    assert chain.runner.answering == chain.fakes[1].candidate
    assert chain.runner.health().state == "degraded"
    assert chain.fakes[0].closed == 1


def test_failures_that_are_ten_minutes_apart_are_forgiven():
    chain = Chain()
    chain.fakes[0].behave = failing(LOST)
    for _ in range(12):
        assert chain.who() == 1
        chain.clock.now += 5 * MINUTE + 1
    assert chain.kinds() == ["failure"] * 12
    assert chain.fakes[0].runs == 12


def test_a_link_that_was_out_comes_back_after_ten_minutes_if_all_golden_samples_are_right():
    chain = Chain()
    chain.fakes[0].behave = failing_in({1, 2, 3}, LOST)
    assert [chain.who() for _ in range(3)] == [1, 1, 1]
    chain.clock.now += 10 * MINUTE - 1
    assert chain.who() == 1
    chain.rest()
    assert chain.fakes[0].loads == 1
    chain.clock.now += 2
    assert chain.who() == 1  # it starts what is done in the background
    chain.rest()
    assert chain.fakes[0].checked == [0, 1, 2, 3]
    assert chain.who() == 0
    assert chain.kinds()[-1] == "restored"
    assert chain.told[-1].message == "v0 engine0 cpu answers again, not v1 engine1 cpu"
    assert chain.runner.health().state == "ok"


def test_a_link_that_is_still_wrong_does_not_come_back():
    chain = Chain()
    chain.fakes[0].behave = failing(LOST)
    chain.fakes[0].error = 0.5
    for _ in range(3):
        chain.who()
    chain.clock.now += 10 * MINUTE
    chain.who()
    chain.rest()
    assert chain.who() == 1
    assert chain.kinds()[-2:] == ["fallback", "failure"]
    assert chain.told[-1].message == (
        "v0 engine0 cpu cannot answer: wrong numbers: relative error 0.5, allowed 0.01"
    )
    assert chain.state(0) == "out"


def test_what_died_is_loaded_again_beside_the_calls_and_comes_back_at_once():
    chain = Chain()
    chain.fakes[0].behave = failing_in({2}, CRASH)
    assert chain.who() == 0
    assert chain.who() == 1
    chain.rest()
    assert chain.who() == 0
    assert chain.kinds() == ["failure", "fallback", "restored"]
    assert chain.fakes[0].loads == 2
    assert chain.fakes[0].checked == [0, 1, 2, 3]


def test_a_runner_that_says_that_it_is_lost_is_loaded_again_whatever_it_raised():
    chain = Chain()
    chain.fakes[0].behave = failing_in({1}, LOST)
    chain.runner._roster.now.engine.runner.is_lost = True
    assert chain.who() == 1
    chain.rest()
    assert chain.who() == 0
    assert chain.kinds() == ["failure", "fallback", "restored"]


def test_what_dies_again_soon_comes_back_only_after_ten_minutes():
    chain = Chain()
    chain.fakes[0].behave = failing_in({2, 4}, CRASH)
    answers = []
    for _ in range(6):
        answers.append(chain.who())
        chain.rest()
        chain.clock.now += 1
    assert answers == [0, 1, 0, 1, 1, 1]
    assert chain.state(0) == "restarting"
    chain.clock.now += 10 * MINUTE
    chain.who()
    chain.rest()
    assert chain.who() == 0
    assert chain.kinds() == ["failure", "fallback", "restored"] * 2


def test_what_was_to_wait_after_its_death_is_asked_where_the_next_one_dies_too():
    chain = Chain(2)
    chain.fakes[0].behave = failing_in({1, 3}, CRASH)
    answers = []
    for _ in range(3):
        answers.append(chain.who())
        chain.rest()
    assert answers == [1, 0, 1]
    assert chain.state(0) == "restarting"
    chain.fakes[1].behave = failing_in({1}, CRASH)
    assert chain.who() == 0


@pytest.mark.parametrize("every", [1, 2, 3, 5, 10, 100])
@pytest.mark.parametrize("error", [LOST, CRASH], ids=["raises", "dies"])
def test_one_that_fails_every_kth_call_is_left_and_comes_back_once_in_ten_minutes(every, error):
    chain = Chain(2)
    chain.fakes[0].behave = failing_in(set(range(every, 10_000, every)), error)
    told: list[tuple[str, float]] = []
    for _ in range(3600):  # an hour, a call a second
        assert chain.who() in (0, 1)
        chain.rest()
        told += [(event.kind, chain.clock.now) for event in chain.told[len(told) :]]
        chain.clock.now += 1
    for kind, most in (("fallback", 2), ("restored", 1)):
        times = [when for what, when in told if what == kind]
        assert times
        assert max(sum(0 <= t - s < 600 for t in times) for s in times) <= most


def test_a_link_that_cannot_be_loaded_is_passed_over_with_a_verdict():
    chain = Chain()
    chain.fakes[0].behave = failing(LOST)
    chain.fakes[1].load_fault = BackendError("engine1: must have a driver, got none")
    assert chain.who() == 2
    assert chain.kinds() == ["verdict", "failure"]
    assert chain.told[0].message == (
        "v1 engine1 cpu cannot answer: engine1: must have a driver, got none"
    )
    assert chain.told[1].details["answered_by"] == "v2 engine2 cpu"


def test_a_link_that_was_never_measured_reproduces_all_golden_samples_first():
    first, second = Fake(0), Fake(1)
    runner = FallbackRunner(
        first.link(),
        first.load(),
        others=[second.link(proven=False)],
        where="session 'means'",
        events=Events("means"),
    )
    first.behave = failing(LOST)
    runner.run(INPUT)
    assert second.checked == [0, 1, 2, 3]


def test_where_all_fail_the_error_names_every_link_with_its_reason():
    left_out = Outcome(
        candidate=Candidate(variant="v9", backend="absent"),
        verdict="unavailable",
        reason="not installed",
    )
    chain = Chain(2, verdicts=(left_out,))
    chain.fakes[0].behave = failing(LOST)
    chain.fakes[1].behave = failing(CRASH)
    with pytest.raises(NoUsableBackend, match="at least one candidate must answer") as fault:
        chain.who()
    assert str(fault.value) == (
        "session 'means': at least one candidate must answer, got none\n"
        "  v0 engine0 cpu: ready, RuntimeError('device lost')\n"
        "  v1 engine1 cpu: restarting, engine0: must live, got its death by SIGSEGV\n"
        "  v9 absent: unavailable, not installed"
    )
    assert fault.value.__cause__ is LOST
    assert [event.details["answered_by"] for event in chain.told] == ["", ""]


def test_where_all_are_out_nothing_is_asked_until_a_second_is_over_and_then_it_may_heal():
    chain = Chain(2)
    for fake in chain.fakes:
        fake.behave = failing(LOST)
    for _ in range(3):
        with pytest.raises(NoUsableBackend, match="got none"):
            chain.who()
    assert chain.runner.health().state == "failed"
    assert chain.runner.health().answering is None
    with pytest.raises(NoUsableBackend, match="v1 engine1 cpu: out, RuntimeError"):
        chain.who()
    assert [fake.runs for fake in chain.fakes] == [3, 3]
    for fake in chain.fakes:
        fake.behave = lambda: None
    chain.clock.now += 1
    assert chain.who() == 0
    assert chain.runner.health().state == "ok"


def test_the_longer_all_fail_the_more_seldom_they_are_tried():
    chain = Chain(1)
    chain.fakes[0].behave = failing(CRASH)
    for _ in range(600):
        with pytest.raises(BackendError, match="engine0"):
            chain.who()
        chain.rest()
        chain.clock.now += 1
    assert 3 < chain.fakes[0].runs <= 3 + 10  # after 1, 2, 4 … 256 seconds


def test_one_candidate_alone_raises_what_it_raised():
    chain = Chain(1)
    chain.fakes[0].behave = failing(LOST)
    with pytest.raises(RuntimeError, match="device lost"):
        chain.who()


def test_strict_lets_what_goes_wrong_reach_the_caller():
    chain = Chain(3, strict=True)
    chain.fakes[0].behave = failing(CRASH)
    with pytest.raises(BackendCrashed, match="SIGSEGV"):
        chain.who()
    assert [fake.loads for fake in chain.fakes[1:]] == [0, 0]
    assert len(chain.runner.health().links) == 1


def test_strict_says_again_why_it_cannot_answer():
    chain = Chain(3, strict=True, recheck=Recheck(runs=1))
    chain.fakes[0].error = 0.3
    assert chain.who() == 0
    chain.rest()
    message = re.escape("wrong numbers: relative error 0.3, allowed 0.01")
    with pytest.raises(BackendWrongOutput, match=f"^{message}$"):
        chain.who()


def test_links_that_others_exclude_are_looked_for_once_and_come_last():
    extra = Fake(7)
    asked = []

    def more() -> list[Link]:
        asked.append(1)
        return [extra.link(proven=False)]

    chain = Chain(2, more=more)
    for fake in chain.fakes:
        fake.behave = failing(LOST)
    assert [chain.who() for _ in range(5)] == [7] * 5
    assert asked == [1]
    assert extra.checked == [0, 1, 2, 3]


def test_golden_samples_are_reproduced_again_after_some_runs_in_turns():
    chain = Chain(recheck=Recheck(runs=5, samples=3))
    for _ in range(5):
        chain.who()
    chain.rest()
    assert chain.fakes[0].checked == [1, 2, 3]
    for _ in range(5):
        chain.who()
    chain.rest()
    assert chain.fakes[0].checked == [1, 2, 3, 0, 1, 2]
    golden = chain.runner.health().golden
    assert golden is not None
    assert (golden.right, golden.error, golden.allowed) == (True, 0.0, 0.01)


def test_golden_samples_are_reproduced_again_after_some_minutes():
    chain = Chain(recheck=Recheck(minutes=2))
    chain.who()
    chain.clock.now += 2 * MINUTE - 1
    chain.who()
    chain.rest()
    assert chain.fakes[0].checked == []
    chain.clock.now += 1
    chain.who()
    chain.rest()
    assert chain.fakes[0].checked == [1]


def test_what_computes_wrong_numbers_is_out_at_once_until_it_is_right_again():
    chain = Chain(recheck=Recheck(runs=3))
    assert chain.who() == 0
    chain.fakes[0].error = 0.25
    assert [chain.who(), chain.who()] == [0, 0]
    chain.rest()
    assert chain.who() == 1
    assert chain.kinds() == ["golden", "fallback"]
    assert chain.told[0].message == (
        "v0 engine0 cpu may not answer: wrong numbers: relative error 0.25, allowed 0.01"
    )
    assert chain.told[0].details == {"error": 0.25, "allowed": 0.01, "right": False}
    golden = chain.runner.health().golden
    assert golden is not None
    assert not golden.right
    chain.fakes[0].error = 0.0
    chain.clock.now += 10 * MINUTE
    chain.who()
    chain.rest()
    assert chain.who() == 0
    assert chain.kinds()[2:] == ["golden", "restored"]
    assert chain.told[2].message == "v0 engine0 cpu computes the right numbers again"


def test_an_engine_that_fails_when_it_is_checked_loses_no_call():
    chain = Chain(recheck=Recheck(runs=2))

    def die(index: int) -> float:
        raise CRASH

    chain.fakes[0].check = die
    assert [chain.who(), chain.who()] == [0, 0]
    chain.rest()
    assert chain.kinds()[0] == "failure"
    assert chain.told[0].message.endswith("by SIGSEGV; no call was lost")
    assert chain.who() in (0, 1)


def test_a_check_is_in_nobodys_way():
    chain = Chain(recheck=Recheck(runs=1))
    checking, go_on = Signal(), Signal()

    def slow(index: int) -> float:
        checking.set()
        assert go_on.wait(10)
        return 0.0

    chain.fakes[0].check = slow
    chain.who()
    assert checking.wait(10)
    assert [chain.who() for _ in range(20)] == [0] * 20
    go_on.set()
    chain.rest()


def test_outputs_that_are_not_finite_are_the_networks_own_where_golden_samples_are_right():
    chain = Chain()
    outputs = (np.array([np.nan], np.float32),)
    assert chain.runner.doubt(INPUT, outputs) is outputs
    assert chain.fakes[0].checked == [1]
    # A network that is like that asks with every picture.
    for _ in range(10):
        assert chain.runner.doubt(INPUT, outputs) is outputs
    assert chain.fakes[0].checked == [1]
    chain.clock.now += 1
    chain.runner.doubt(INPUT, outputs)
    assert chain.fakes[0].checked == [1, 2]


def test_outputs_that_are_not_finite_are_answered_by_the_next_link_where_they_are_wrong():
    chain = Chain()
    chain.fakes[0].error = float("inf")
    (who,) = chain.runner.doubt(INPUT, (np.array([np.nan], np.float32),))
    assert who == [1]
    assert chain.kinds() == ["golden", "fallback"]


GROWS = "memory: must not grow, got 110 MB in 10 calls"


def test_a_worker_that_grows_does_not_answer_any_more():
    chain = Chain()
    chain.runner._roster.now.engine.runner.worker_pid = 2**22
    chain.runner.abandon(GROWS)
    assert chain.who() == 1
    assert chain.kinds() == ["failure", "fallback"]
    assert chain.told[0].message == f"v0 engine0 cpu may not answer: {GROWS}"


@pytest.mark.parametrize("given", [{"count": 1}, {"strict": True}], ids=["alone", "strict"])
def test_what_grows_goes_on_where_nothing_else_can_answer(given):
    chain = Chain(**given)
    chain.runner._roster.now.engine.runner.worker_pid = 2**22
    chain.runner.abandon(GROWS)
    assert [chain.who() for _ in range(3)] == [0, 0, 0]
    assert chain.fakes[0].closed == 0
    assert chain.told == []


def test_what_grows_goes_on_where_the_others_cannot_be_loaded():
    chain = Chain(2)
    chain.fakes[1].load_fault = LOST
    chain.runner._roster.now.engine.runner.worker_pid = 2**22
    chain.runner.abandon(GROWS)
    assert [chain.who() for _ in range(3)] == [0, 0, 0]
    assert chain.runner.health().state == "ok"


def test_in_this_process_what_grows_may_be_the_application_and_goes_on():
    chain = Chain()
    chain.runner.abandon(GROWS)
    assert [chain.who() for _ in range(3)] == [0, 0, 0]
    assert [fake.loads for fake in chain.fakes] == [1, 0, 0]
    assert chain.told == []


def test_requests_that_come_together_count_for_the_next_check():
    chain = Chain(recheck=Recheck(runs=6))
    for _ in range(2):
        assert len(chain.runner.run_together([INPUT] * 3)) == 3
    chain.rest()
    assert chain.fakes[0].checked == [1]


def test_a_failure_of_requests_that_come_together_is_one_and_is_told():
    chain = Chain()
    chain.fakes[0].behave = failing_in({2}, LOST)
    answers = chain.runner.run_together([INPUT] * 3)
    assert [int(outputs[0][0]) for outputs in answers] == [1, 0, 0]
    assert chain.kinds() == ["failure"]
    assert chain.runner.health().failures == 1


def test_what_always_fails_together_may_not_answer_any_more():
    chain = Chain()
    chain.fakes[0].behave = failing(LOST)
    for _ in range(2):
        answers = chain.runner.run_together([INPUT] * 3)
        assert [int(outputs[0][0]) for outputs in answers] == [1, 1, 1]
    assert chain.kinds() == ["failure"] * 3 + ["fallback"]
    assert chain.state(0) == "out"
    assert chain.fakes[0].runs == 3


def test_no_requests_have_no_answers():
    assert Chain().runner.run_together([]) == ()


def test_calls_that_one_fault_ends_together_are_one_failure():
    chain = Chain()
    together = Barrier(5)

    def fail() -> None:
        together.wait(10)
        raise LOST

    chain.fakes[0].behave = fail
    answers: list[int] = []
    threads = [Thread(target=lambda: answers.append(chain.who())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [1] * 5
    health = chain.runner.health()
    assert (health.state, health.failures) == ("ok", 1)
    # That each was answered by another is told all the same.
    assert chain.kinds() == ["failure"] * 5
    chain.fakes[0].behave = lambda: None
    assert chain.who() == 0
    # Those that begin later count for themselves.
    chain.fakes[0].behave = failing(LOST)
    assert [chain.who() for _ in range(3)] == [1, 1, 1]
    assert chain.state(0) == "out"
    assert chain.fakes[0].runs == 5 + 1 + 2


@pytest.mark.parametrize(("batches", "failures"), [(1, 1), (2, 2)])
def test_those_in_a_batch_that_fails_are_one_failure(monkeypatch, batches, failures):
    monkeypatch.setattr(FakeRunner, "batch", 4)
    chain = Chain()
    together = Barrier(4)
    causes = [BackendError(f"batch {number}") for number in range(batches)]

    def fail() -> None:
        place = together.wait(10)
        raise BackendError("its own") from causes[place * batches // 4]

    chain.fakes[0].behave = fail
    threads = [Thread(target=chain.who) for _ in range(4)]
    # Blamed in the order of their batches, as they end one after another.
    turn = Condition()
    blame = chain.runner._roster.blame
    places = {id(cause): number for number, cause in enumerate(causes)}
    done = [0]

    def blamed(held, fault, failed):
        first = places[id(fault.__cause__)] * 4 // batches
        with turn:
            assert turn.wait_for(lambda: done[0] >= first, 10)
            blame(held, fault, failed)
            done[0] += 1
            turn.notify_all()

    monkeypatch.setattr(chain.runner._roster, "blame", blamed)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert chain.runner.health().failures == failures


def test_a_process_that_dies_in_one_of_many_calls_is_loaded_anew():
    chain = Chain()
    together = Barrier(2)
    faults = [LOST, CRASH]

    def fail() -> None:
        together.wait(10)
        raise faults.pop(0)

    chain.fakes[0].behave = fail
    threads = [Thread(target=chain.who) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    chain.fakes[0].behave = lambda: None
    chain.rest()
    assert chain.fakes[0].closed == 1


def test_further_candidates_that_cannot_be_found_are_told_and_looked_for_again():
    chain = Chain(1, more=lambda: more())
    spare = Fake(7)
    found: list[Callable[[], Sequence[Link]]] = [
        failing(StorageError("means.edgeprep: must be open to be read again, got none")),
        lambda: [spare.link()],
    ]

    def more() -> Sequence[Link]:
        return found.pop(0)()

    chain.fakes[0].behave = failing(LOST)
    with pytest.raises(RuntimeError, match=r"^device lost$"):  # the engine's fault, not the file's
        chain.who()
    messages = [event.message for event in chain.told]
    assert messages == [
        (
            "session 'means': no further candidates were found: means.edgeprep: must be open to be "
            "read again, got none"
        ),
        "v0 engine0 cpu failed: RuntimeError('device lost'); nothing answered",
    ]
    assert chain.told[0].details == {"error": "StorageError"}
    # Not with every call, as looking takes long.
    with pytest.raises(RuntimeError, match=r"^device lost$"):
        chain.who()
    assert len(found) == 1
    chain.clock.now += 1.0
    assert chain.who() == 7


def test_what_failed_is_told_even_where_the_search_is_interrupted():
    chain = Chain(1, more=failing(KeyboardInterrupt()))
    chain.fakes[0].behave = failing(LOST)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        chain.who()
    assert chain.kinds() == ["failure"]


def test_a_stand_in_that_is_not_needed_any_more_is_closed():
    chain = Chain(recheck=Recheck(minutes=1))
    chain.fakes[0].behave = failing_in({1}, LOST)
    assert chain.who() == 1
    for _ in range(11):
        chain.clock.now += MINUTE
        assert chain.who() == 0
        chain.rest()
    assert chain.fakes[1].closed == 1
    assert chain.state(1) == "waiting"


def test_the_clock_being_put_back_locks_nothing_out():
    chain = Chain(recheck=Recheck(minutes=2))
    chain.fakes[0].behave = failing_in({1, 2, 3}, LOST)
    for _ in range(3):
        assert chain.who() == 1
    chain.clock.now -= 86_400
    chain.who()
    chain.rest()
    assert chain.who() == 0
    assert chain.runner.health().failures == 0


@pytest.mark.parametrize("start", [0.0, 2.0**31, 2.0**40])
@pytest.mark.parametrize("jump", [10.0, 86_400.0, 10 * 365 * 86_400.0])
def test_a_clock_that_leaps_costs_no_more_than_a_check(start, jump):
    # As after the machine was asleep, or a year-2038 bug.
    chain = Chain(recheck=Recheck())
    chain.clock.now = start
    for _ in range(3):
        assert chain.who() == 0
        chain.rest()
        chain.clock.now += jump
    assert chain.kinds() == []


def test_threads_that_see_one_death_count_it_once():
    chain = Chain(2)
    together, ready = Signal(), []

    def die() -> None:
        ready.append(1)
        if len(ready) == 8:
            together.set()
        assert together.wait(10)
        raise CRASH

    chain.fakes[0].behave = die
    answers: list[int] = []
    threads = [Thread(target=lambda: answers.append(chain.who())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert set(answers) <= {0, 1}
    assert chain.kinds().count("fallback") == 1
    assert chain.runner.health().failures == 1
    chain.runner.close()


def test_a_listener_may_use_the_session_that_tells_it():
    chain = Chain()
    inner: list[int] = []
    chain.runner._roster._events.listen(lambda event: inner.append(chain.who()))
    chain.fakes[0].behave = failing(LOST)
    assert chain.who() == 1
    # The calls of the listener failed as well, and were answered; each was told once.
    assert chain.kinds() == ["failure"] * 3 + ["fallback"]
    assert inner == [1] * 4


def test_a_listener_that_closes_the_session_stops_nothing():
    chain = Chain()
    chain.runner._roster._events.listen(lambda event: chain.runner.close())
    chain.fakes[0].behave = failing(LOST)
    assert chain.who() == 1
    with pytest.raises(ClosedError, match=r"^session 'means': must be open, got a call after"):
        chain.who()


def test_closing_closes_all_that_is_loaded_and_again_does_nothing():
    chain = Chain()
    chain.fakes[0].behave = failing_in({1}, LOST)
    chain.who()
    chain.runner.close()
    chain.runner.close()
    assert [fake.closed for fake in chain.fakes] == [1, 1, 0]
    with pytest.raises(ClosedError, match="must be open, got a call after close"):
        chain.who()


def test_what_is_loaded_while_the_chain_is_closed_is_closed_with_it():
    chain = Chain()
    chain.fakes[0].behave = failing(LOST)
    chain.fakes[1].check = lambda index: chain.runner.close() or 0.0
    with pytest.raises(ClosedError, match="must be open"):
        chain.who()
    assert (chain.fakes[1].loads, chain.fakes[1].closed) == (1, 1)


def test_where_nothing_may_wait_one_more_link_is_kept_loaded():
    chain = Chain(3, warm=True)
    assert chain.who() == 0
    chain.rest()
    assert [fake.loads for fake in chain.fakes] == [1, 1, 0]
    chain.fakes[0].behave = failing_in({1}, CRASH)
    chain.fakes[0].load_fault = CRASH
    assert chain.who() == 1
    chain.rest()
    assert [fake.loads for fake in chain.fakes] == [2, 1, 1]
    for _ in range(11):
        chain.clock.now += MINUTE
        assert chain.who() == 1
        chain.rest()
    assert chain.fakes[2].closed == 0


def test_a_link_that_fails_as_the_chain_is_closed_has_no_verdict():
    chain = Chain(warm=True)

    def load() -> Engine:
        chain.runner.close()
        raise CRASH

    chain.runner._roster.slots[1].link = Link(
        candidate=chain.fakes[1].candidate, allowed=0.01, proven=True, load=load
    )
    chain.who()
    chain.rest()
    assert chain.told == []


SCRIPTS = st.lists(
    st.tuples(
        st.sampled_from(["fine", "raises", "dies"]),
        st.sampled_from(["fine", "fine", "raises", "dies"]),
        st.sampled_from([0.0, 1.0, 200.0, 601.0]),
        st.sampled_from([0.0, 0.0, 0.0, 0.5]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(script=SCRIPTS)
def test_whoever_answers_is_who_events_say(script):
    """No device changes without an event: they alone tell who answers which call."""
    chain = Chain(3, recheck=Recheck(runs=4))
    names = {f"v{fake.number} engine{fake.number} cpu": fake.number for fake in chain.fakes}
    ways = {"fine": lambda: None, "raises": failing(LOST), "dies": failing(CRASH)}
    said, heard = 0, 0
    for first, second, seconds, error in script:
        chain.fakes[0].behave, chain.fakes[1].behave = ways[first], ways[second]
        chain.fakes[0].error = error
        before = said
        answer = chain.who()
        chain.rest()
        rescued = None
        for event in chain.told[heard:]:
            if event.kind in ("fallback", "restored"):
                said = names[event.candidate]
            elif event.kind == "failure" and event.details.get("answered_by"):
                rescued = names[event.details["answered_by"]]
        heard = len(chain.told)
        assert answer == (before if rescued is None else rescued)
        assert chain.runner.answering == chain.fakes[said].candidate
        chain.clock.now += seconds
