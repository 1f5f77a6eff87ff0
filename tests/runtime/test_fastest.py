"""The search for the fastest: what is looked at, how often, and what is never loaded."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.errors import NoUsableBackend
from edgeprep.interfaces import Device, Model, Options, Precision, Runner
from edgeprep.runtime import Session
from edgeprep.runtime.timing import summarize


@dataclass
class Engine:
    """What a fake does with each of its options, which are told apart by `speed`."""

    ways: tuple[dict[str, int | str], ...]
    seconds: Mapping[str, float]
    wrong_from: Mapping[str, int] = field(default_factory=dict)  # the first call that is wrong
    # Whether its device is lost, given how many are loaded at the moment.
    lost: Mapping[str, Callable[[int], bool]] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)
    most: int = 0  # loaded at the same time


@pytest.fixture
def open_on(bundle: Path, fakes: SimpleNamespace) -> Callable[[Engine], Session]:
    """Opens the bundle on an engine, and closes it again."""

    def open_on(engine: Engine) -> Session:
        class Backend(fakes.Right):  # type: ignore[misc,name-defined]
            name = "right"

            def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
                return tuple(engine.ways)

            def load(self, model: Model, device: Device, options: Options) -> Runner:
                speed = str(options["speed"])
                engine.loaded.append(f"{speed}-{options['threads']}")
                runner = super().load(model, device, options)
                runners = fakes.Right.open_runners
                engine.most = max(engine.most, len(runners))
                calls = 0

                def compute(image: NDArray[np.uint8]) -> NDArray[np.float32]:
                    nonlocal calls
                    calls += 1
                    time.sleep(engine.seconds[speed])
                    if speed in engine.lost and engine.lost[speed](len(runners)):
                        raise RuntimeError("device lost")
                    right = fakes.Right.compute(self, image)
                    return right * (2 if calls >= engine.wrong_from.get(speed, calls + 1) else 1)

                runner.backend = SimpleNamespace(name="right", compute=compute)
                return runner

        with edgeprep.open(bundle, registry=fakes.registry(Backend), seconds=0.01) as session:
            return session

    return open_on


def way(speed: str, threads: int = 1) -> dict[str, int | str]:
    return {"speed": speed, "threads": threads}


def test_more_threads_are_not_loaded_where_they_cannot_win(
    open_on: Callable[[Engine], Session],
) -> None:
    ways = (way("fast"), way("slow"), way("slow", 2), way("slow", 64))
    engine = Engine(ways=ways, seconds={"fast": 0.001, "slow": 0.02})
    session = open_on(engine)
    assert engine.loaded == ["fast-1", "slow-1", "slow-64"]
    outcomes = {str(outcome.candidate): outcome for outcome in session.outcomes}
    passed_over = outcomes["fake-fp32 right cpu speed=slow threads=2"]
    assert passed_over.verdict == "unmeasured"
    assert passed_over.timing is None
    before, _, after = passed_over.reason.partition(" took ")
    assert before == "threads=1"
    assert after.endswith(" times as long as the best; 2 cannot make up for that")


def test_threads_of_other_settings_say_nothing(open_on: Callable[[Engine], Session]) -> None:
    ways = (way("fast"), way("slow"), way("other", 2))
    engine = Engine(ways=ways, seconds={"fast": 0.001, "slow": 0.02, "other": 0.0002})
    assert open_on(engine).choice.options == way("other", 2)


@pytest.mark.parametrize(
    ("fewer", "more", "loaded"),
    [({}, {"waiting": "spin"}, False), ({"waiting": "sleep"}, {"waiting": "spin"}, True)],
    ids=["one thread has no setting", "another setting"],
)
def test_threads_are_compared_where_all_else_is_the_same(
    open_on: Callable[[Engine], Session],
    fewer: dict[str, str],
    more: dict[str, str],
    loaded: bool,
) -> None:
    slow: tuple[dict[str, int | str], ...] = (way("slow") | fewer, way("slow", 2) | more)
    engine = Engine(ways=(way("fast"), *slow), seconds={"fast": 0.001, "slow": 0.01})
    open_on(engine)
    assert ("slow-2" in engine.loaded) == loaded


def test_what_is_wrong_on_a_later_sample_is_rejected_however_fast(
    open_on: Callable[[Engine], Session],
) -> None:
    engine = Engine(
        ways=(way("right"), way("wrong")),
        seconds={"right": 0.002, "wrong": 0.0},
        wrong_from={"wrong": 3},
    )
    session = open_on(engine)
    assert session.choice.options == way("right")
    assert [(o.verdict, o.reason) for o in session.outcomes[1:]] == [
        ("rejected", "wrong numbers: relative error 1, allowed 0.001")
    ]


def alone(runners: int) -> bool:
    """When the others are retired: in the final."""
    return runners == 1


def verdicts(session: Session) -> dict[str, str]:
    return {str(o.candidate.options["speed"]): o.verdict for o in session.outcomes}


def test_where_the_only_finalist_fails_the_quickest_of_the_retired_answers(
    open_on: Callable[[Engine], Session],
) -> None:
    engine = Engine(
        ways=(way("s20"), way("lost"), way("s4"), way("s16"), way("s12"), way("s8")),
        # Far apart, for machines with other work to do.
        seconds={"lost": 0.0005, **{f"s{ms}": ms / 4e2 for ms in (4, 8, 12, 16, 20)}},
    )
    # It is lost in the final, when all have been looked at.
    engine.lost = {"lost": lambda runners: alone(runners) and len(engine.loaded) == 6}
    session = open_on(engine)
    assert engine.loaded[6:] == ["s4-1", "s8-1", "s12-1"]
    assert session.choice.options == way("s4")
    assert verdicts(session)["lost"] == "rejected"
    assert len(session.outcomes) == len(engine.ways)
    assert engine.most <= 4


def test_what_was_passed_over_for_the_sake_of_one_that_fails_is_tried(
    open_on: Callable[[Engine], Session],
) -> None:
    engine = Engine(
        ways=(way("lost"), way("slow"), way("slow", 2)),
        seconds={"lost": 0.0005, "slow": 0.01},
    )
    # Alone it is at the beginning, too, so that it lives until others have been there.
    engine.lost = {"lost": lambda runners: alone(runners) and len(engine.loaded) > 1}
    session = open_on(engine)
    assert engine.loaded == ["lost-1", "slow-1", "slow-1", "slow-2"]
    assert session.choice.options["speed"] == "slow"
    found = sorted(outcome.verdict for outcome in session.outcomes)
    assert found == ["chosen", "rejected", "slower"]


def test_what_is_tried_again_must_compute_all_samples_rightly(
    open_on: Callable[[Engine], Session],
) -> None:
    engine = Engine(
        ways=(way("lost"), way("wrong"), way("right")),
        seconds={"lost": 0.0005, "wrong": 0.004, "right": 0.01},
    )
    engine.lost = {"lost": lambda runners: alone(runners) and len(engine.loaded) > 2}
    # The first of its samples is right, and so is all that is called for being timed.
    engine.wrong_from = {"wrong": 2}
    session = open_on(engine)
    assert session.choice.options == way("right")
    assert verdicts(session) == {"right": "chosen", "lost": "rejected", "wrong": "rejected"}


def test_where_a_finalist_fails_early_what_it_had_beaten_is_tried_again(
    open_on: Callable[[Engine], Session],
) -> None:
    engine = Engine(
        ways=(way("lost"), way("medium"), way("slow")),
        seconds={"lost": 0.0005, "medium": 0.003, "slow": 0.02},
    )
    engine.lost = {"lost": lambda runners: len(engine.loaded) == 3}
    session = open_on(engine)
    assert session.choice.options == way("medium")
    assert verdicts(session) == {"medium": "chosen", "slow": "slower", "lost": "rejected"}


def test_a_bundle_that_nothing_can_run_in_the_end_is_refused_after_every_try(
    open_on: Callable[[Engine], Session], fakes: SimpleNamespace
) -> None:
    names = [f"s{index}" for index in range(6)]
    engine = Engine(ways=tuple(map(way, names)), seconds=dict.fromkeys(names, 0.001))
    # After the first look, at which there are four, every one fails, also when loaded again.
    engine.lost = dict.fromkeys(names, lambda runners: len(engine.loaded) >= 6 and runners < 4)
    with pytest.raises(NoUsableBackend, match=r"got none\n(.*: rejected, RuntimeError.*\n?){6}$"):
        open_on(engine)
    assert fakes.Right.open_runners == []


def test_at_most_four_are_in_memory_together(open_on: Callable[[Engine], Session]) -> None:
    names = [f"s{index}" for index in range(12)]
    engine = Engine(ways=tuple(map(way, names)), seconds=dict.fromkeys(names, 0.001))
    session = open_on(engine)
    assert len(engine.loaded) == len(session.outcomes) == 12
    # The three best so far, and the one that is looked at.
    assert engine.most == 4


def test_timings_are_of_the_quieter_half() -> None:
    disturbed = [[9.0, 9.5, 30.0], [8.0, 8.0, 8.0]]
    quiet = [[2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 5.0]]
    timing = summarize([disturbed[0], quiet[0], disturbed[1], quiet[1]])
    assert timing.median_ms == 2.0
    assert timing.p90_ms == pytest.approx(2.9)  # of 1, 1, 1, 2, 2, 2, 2, 5 the value at 6.3


@pytest.mark.parametrize(
    ("bursts", "median_ms"), [([[3.0]], 3.0), ([[1.0], [2.0], [9.0]], 1.5)], ids=["one", "three"]
)
def test_half_of_an_odd_number_of_bursts_is_rounded_up(
    bursts: list[list[float]], median_ms: float
) -> None:
    assert summarize(bursts).median_ms == median_ms
