"""What a choice is for: the quickest answer, the most pictures a second, or the least memory."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import Manifest
from edgeprep.errors import BackendError, InputError, NonFiniteOutput
from edgeprep.interfaces import Backend, Device, Model, Options, Precision, Runner
from edgeprep.runtime import Session, busiest, opened
from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.smallest import with_fewest_threads
from edgeprep.runtime.widths import load_wide
from edgeprep.tensors import TensorSpec

Picture = NDArray[np.uint8]
CALL_S, PICTURE_S = 0.002, 0.0002


class Engine:
    """What became of a fake engine that computes one call at a time, several pictures in one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loaded: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.wrong_in_batches = False
        self.crossed = False
        self.lost_in_batches = False
        self.nan_for_white = False


def make_backend(
    fakes: SimpleNamespace,
    engine: Engine,
    widths: tuple[str, ...],
    ways: Sequence[Options] = ({"threads": 1}, {"threads": 2}),
) -> type[Backend]:
    """A backend of which each runner computes one call at a time."""

    class BatchRunner(fakes.Runner):  # type: ignore[misc,name-defined]
        def __init__(self, backend: Any, batch: int, threads: object) -> None:
            super().__init__(backend)
            # Two threads are in each other's way.
            self._call_s = CALL_S * (4 if threads == 2 else 1)
            one = fakes.Runner
            self.inputs = tuple(_wide(spec, batch) for spec in one.inputs)
            self.outputs = tuple(_wide(spec, batch) for spec in one.outputs)
            self._one_call = threading.Lock()

        def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
            batch = len(inputs[0])
            with self._one_call:
                time.sleep(self._call_s + batch * PICTURE_S)
            engine.batches.append(batch)
            if batch > 1 and engine.lost_in_batches:
                raise BackendError("wide: must run, got a lost device")
            (right,) = super().run(inputs)
            if engine.nan_for_white:
                right = np.where(
                    inputs[0].min(axis=(1, 2, 3), initial=255)[:, None] == 255, np.nan, right
                )
                right = right.astype(np.float32)
            if batch > 1 and engine.wrong_in_batches:
                right = right * np.float32(1.05)
            if batch > 1 and engine.crossed:
                right = np.roll(right, 1, axis=0)
            return (right,)

    class Backend(fakes.Right):  # type: ignore[misc,name-defined]
        name = "wide"

        def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
            return tuple(ways)

        def load(self, model: Model, device: Device, options: Options) -> Runner:
            engine.loaded.append(dict(options))
            runner: Runner = BatchRunner(self, int(options.get("batch", 1)), options.get("threads"))
            return runner

    Backend.widths = widths  # type: ignore[attr-defined]
    return Backend


def _wide(spec: TensorSpec, batch: int) -> TensorSpec:
    return replace(spec, shape=(batch, *spec.shape[1:]))


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busiest, "available_cpus", lambda: 2)


@pytest.fixture
def open_for(
    bundle: Path, fakes: SimpleNamespace, engine: Engine
) -> Iterator[Callable[..., Session]]:
    """Opens the bundle on the engine, for a goal."""
    opened: list[Session] = []

    def open_for(goal: Any, widths: tuple[str, ...] = ("batch",), **keywords: Any) -> Session:
        registry = fakes.registry(make_backend(fakes, engine, widths))
        session = edgeprep.open(bundle, registry=registry, goal=goal, seconds=0.2, **keywords)
        opened.append(session)
        return session

    yield open_for
    for session in opened:
        session.close()


def verdicts(session: Session) -> dict[str, str]:
    return {
        " ".join(f"{key}={value}" for key, value in each.candidate.options.items()): each.verdict
        for each in session.outcomes
    }


def test_throughput_chooses_several_calls_and_pictures_where_that_is_quicker(
    open_for: Callable[..., Session], engine: Engine
) -> None:
    session = open_for("throughput")
    # A call takes 2.2 ms, two at once half of that for each; one of 16 pictures 5.2 ms for all.
    assert session.choice.options == {"threads": 1, "calls": 2, "batch": 16}
    assert verdicts(session) == {
        "threads=1 calls=2 batch=16": "chosen",
        "threads=1 calls=2 batch=4": "slower",
        "threads=1 calls=2": "slower",
        "threads=2": "slower",
    }
    chosen = session.outcomes[0]
    assert chosen.per_second is not None
    assert chosen.timing is not None
    assert chosen.per_second == pytest.approx(1e3 / chosen.timing.median_ms)
    assert chosen.reason == "the most pictures a second, with the right numbers"


def test_latency_chooses_as_if_there_were_nothing_else(
    open_for: Callable[..., Session], engine: Engine
) -> None:
    session = open_for("latency")
    assert {*verdicts(session)} == {"threads=1", "threads=2"}
    assert [each.per_second for each in session.outcomes] == [None, None]
    assert {*engine.batches} == {1}


def test_pictures_of_a_batch_come_back_in_their_order_several_a_call(
    open_for: Callable[..., Session], engine: Engine
) -> None:
    session = open_for("throughput")
    pictures = np.random.default_rng(1).integers(0, 256, (96, 4, 4, 3), dtype=np.uint8)
    engine.batches.clear()
    results = session.batch(pictures)
    means = pictures.mean(axis=(1, 2), dtype=np.float32)
    labels = [("red", "green", "blue")[index] for index in means.argmax(axis=1)]
    assert [result.label for result in results] == labels
    assert engine.batches == [16] * 6
    steps = session.metrics().steps
    assert {step: steps[step].count for step in steps} == dict.fromkeys(steps, 96)
    assert {*steps} == {"prepare", "run", "decode", "total"}


def test_what_is_left_over_of_a_batch_is_filled_up_where_that_is_quicker(
    open_for: Callable[..., Session], engine: Engine, picture: Picture
) -> None:
    session = open_for("throughput")
    # A call takes 2.2 ms, and one of 16 pictures 5.2 ms.
    for count, batches in ((24, [16, 16]), (17, [1, 16])):
        engine.batches.clear()
        labels = [result.label for result in session.batch([picture] * count)]
        assert labels == ["green"] * count
        assert sorted(engine.batches) == batches


def test_one_picture_is_a_call_of_one(
    open_for: Callable[..., Session], engine: Engine, picture: Picture
) -> None:
    session = open_for("throughput")
    engine.batches.clear()
    assert session(picture).label == "green"
    assert session.batch([picture])[0].label == "green"
    assert engine.batches == [1, 1]


def test_what_goes_wrong_for_the_first_picture_reaches_the_caller(
    open_for: Callable[..., Session], engine: Engine, picture: Picture
) -> None:
    session = open_for("throughput")
    white = np.full_like(picture, 255)
    engine.nan_for_white = True
    pictures = [picture, white, *[picture] * 38, white, *[picture] * 23]
    said = (
        "^session 'means': pictures\\[1\\]: output 'logits' of fake-fp32 wide cpu threads=1 "
        "calls=2 batch=16 must be finite, got 3 NaN and 0 infinite of 3 numbers"
    )
    with pytest.raises(NonFiniteOutput, match=said):
        session.batch(pictures)
    assert len(session.batch([picture] * 64)) == 64


def test_an_error_of_a_batch_is_counted_once(
    open_for: Callable[..., Session], engine: Engine, picture: Picture
) -> None:
    session = open_for("throughput")
    engine.nan_for_white = True
    with pytest.raises(NonFiniteOutput, match=r"pictures\[2\]"):
        session.batch([picture, picture, np.full_like(picture, 255), picture])
    assert session.metrics().errors == {"NonFiniteOutput": 1}


@pytest.mark.parametrize("how", ["wrong_in_batches", "crossed"])
def test_what_is_wrong_for_several_pictures_alone_is_rejected(
    open_for: Callable[..., Session], engine: Engine, how: str
) -> None:
    setattr(engine, how, True)
    session = open_for("throughput")
    assert session.choice.options == {"threads": 1, "calls": 2}
    rejected = [each for each in session.outcomes if each.verdict == "rejected"]
    assert [each.candidate.options["batch"] for each in rejected] == [4, 16]
    for each in rejected:
        assert re.match(r"wrong numbers: relative error [\d.]+, allowed 0.001", each.reason)


def test_where_batches_fail_later_each_picture_is_answered_all_the_same(
    open_for: Callable[..., Session], engine: Engine, picture: Picture
) -> None:
    session = open_for("throughput")
    engine.lost_in_batches = True
    results = session.batch([picture] * 64)
    assert [result.label for result in results] == ["green"] * 64
    assert session.health().state == "degraded"
    assert "batch" not in session.choice.options


def test_requests_together_are_answered_one_by_one_where_a_batch_fails(
    open_for: Callable[..., Session], engine: Engine, picture: Picture
) -> None:
    session: Any = open_for("throughput")
    runner = session._runner
    assert runner.batch == 16
    requests = [(picture[np.newaxis],)] * 16
    (wanted,) = runner.run(requests[0])
    for engine.lost_in_batches in (False, True):
        for (found,) in runner.run_together(requests):
            np.testing.assert_array_equal(found, wanted)


def test_a_golden_check_of_a_link_looks_at_every_place_of_a_batch(
    open_for: Callable[..., Session], engine: Engine
) -> None:
    session: Any = open_for("throughput")
    held = session._runner._roster.now
    assert held.engine.error(0) <= 1e-3
    engine.crossed = True
    assert held.engine.error(0) > 1e-3


def test_a_backend_that_takes_one_picture_a_call_says_so_in_the_table(
    open_for: Callable[..., Session], engine: Engine
) -> None:
    session = open_for("throughput", widths=())
    assert session.choice.options == {"threads": 1, "calls": 2}
    reasons = {each.verdict: each.reason for each in session.outcomes}
    assert reasons["excluded"] == "backend 'wide' takes one picture a call"
    # Nor is it asked for that where another one fails.
    assert not [link for link in session.health().links if "batch" in link.candidate.options]
    # Each of two calls at once has a runner of its own, which knows nothing of the other.
    assert {"threads": 1, "calls": 2} not in engine.loaded
    assert engine.loaded.count({"threads": 1}) >= 2


def test_a_backend_that_computes_calls_side_by_side_is_told_how_many(
    open_for: Callable[..., Session], engine: Engine
) -> None:
    open_for("throughput", widths=("batch", "calls"))
    assert {"threads": 1, "calls": 2} in engine.loaded
    assert {"threads": 1, "calls": 2, "batch": 4} in engine.loaded
    assert {"threads": 1} not in engine.loaded


def test_a_choice_for_throughput_is_remembered_as_that(
    open_for: Callable[..., Session], picture: Picture
) -> None:
    first = open_for("throughput")
    table = first.explain()
    first.close()
    again = open_for("throughput")
    assert again.remembered
    assert again.choice == first.choice
    assert again(picture).label == "green"
    assert again.explain() == table.replace("measured now", "remembered")
    head, columns, *_ = table.splitlines()
    assert head == ("means: 4 candidates, measured now for throughput, times are a picture's share")
    assert re.split("  +", columns) == [
        *("verdict", "variant", "backend", "device", "options"),
        *("per second", "median ms", "p90 ms", "reason"),
    ]
    assert not open_for("latency").remembered


def test_memory_chooses_what_holds_least_whatever_time_it_takes(
    open_for: Callable[..., Session],
    bundle: Path,
    fakes: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = {"right": 30 * 2**20, "slow": 20 * 2**20, "reduced": 50 * 2**20}
    asked: list[str] = []

    def weigh(cls: type[Backend], *rest: Any) -> int:
        asked.append(cls.name)
        return weights[cls.name]

    monkeypatch.setattr("edgeprep.runtime.footprint.measure_process", weigh)
    registry = fakes.registry(fakes.Right, fakes.Slow, fakes.Wrong, fakes.Reduced)
    with edgeprep.open(bundle, registry=registry, goal="memory") as session:
        found = {
            each.candidate.backend: (each.verdict, each.memory_bytes)
            for each in session.outcomes
            if each.candidate.options != {"precision": "bf16"}
        }
        assert session.choice.backend == "slow"
        assert found == {
            "slow": ("chosen", 20 * 2**20),
            "right": ("larger", 30 * 2**20),
            "reduced": ("larger", 50 * 2**20),
            "wrong": ("rejected", None),
        }
        assert session.outcomes[0].reason == "the least memory, with the right numbers"
        assert session.outcomes[1].reason == "1.50 times the chosen one"
        head, columns, first, *_ = session.explain().splitlines()
        assert head == "means: 5 candidates, measured now for memory"
        assert columns.split()[5] == "MiB"
        assert first.split()[5] == "20.0"
    assert sorted(asked) == ["reduced", "reduced", "right", "slow"]


def test_of_what_is_as_small_the_quickest_answers(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"right": 1020, "slow": 1000}
    monkeypatch.setattr(
        "edgeprep.runtime.footprint.measure_process", lambda cls, *rest: weights[cls.name]
    )
    registry = fakes.registry(fakes.Slow, fakes.Right)
    with edgeprep.open(bundle, registry=registry, goal="memory") as session:
        assert session.choice.backend == "right"


def test_what_cannot_be_weighed_is_rejected_with_the_reason(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weigh(cls: type[Backend], *rest: Any) -> int:
        if cls.name == "right":
            raise BackendError("backend 'right': must run in a process of its own, got 'no room'")
        return 1000

    monkeypatch.setattr("edgeprep.runtime.footprint.measure_process", weigh)
    registry = fakes.registry(fakes.Slow, fakes.Right)
    with edgeprep.open(bundle, registry=registry, goal="memory") as session:
        assert [(each.candidate.backend, each.verdict) for each in session.outcomes] == [
            ("slow", "chosen"),
            ("right", "rejected"),
        ]
        assert session.outcomes[1].reason == (
            "backend 'right': must run in a process of its own, got 'no room'"
        )


def test_more_threads_are_not_weighed(
    bundle: Path,
    fakes: SimpleNamespace,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgeprep.runtime.footprint.measure_process", lambda *rest: 1000)
    ways = ({"threads": 1}, {"threads": 2, "waiting": "spin"})
    registry = fakes.registry(make_backend(fakes, engine, (), ways))
    with edgeprep.open(bundle, registry=registry, goal="memory") as session:
        assert [(each.verdict, each.reason) for each in session.outcomes] == [
            ("chosen", "the least memory, with the right numbers"),
            ("unmeasured", "more threads need more memory"),
        ]


def test_fewest_threads_are_compared_where_all_else_is_the_same(
    fakes: SimpleNamespace, engine: Engine, manifest: Manifest
) -> None:
    backend = make_backend(fakes, engine, ())()
    (device,) = backend.devices()

    def one(**options: int | str) -> Any:
        candidate = opened.Candidate(
            variant="fake-fp32", backend="wide", device="cpu", options=options
        )
        return opened.Reachable(
            candidate=candidate, variant=manifest.variants[0], backend=backend, device=device
        )

    exact, more = one(threads=1, precision="f32"), one(threads=2, precision="f32")
    other, plain = one(threads=2, precision="bf16"), one(speed="auto")
    assert with_fewest_threads([exact, more, other, plain]) == [exact, other, plain]


@pytest.mark.parametrize("goal", ["speed", "", None, 3])
def test_what_is_no_goal_is_refused(bundle: Path, fakes: SimpleNamespace, goal: Any) -> None:
    said = f"goal: must be one of ['latency', 'throughput', 'memory'], got {goal!r}"
    for function in (edgeprep.open, measure_all):
        with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
            function(bundle, goal=goal, registry=fakes.registry(fakes.Right))


def test_a_benchmark_for_throughput_has_every_way_and_the_best_few_in_batches(
    bundle: Path, fakes: SimpleNamespace, engine: Engine
) -> None:
    registry = fakes.registry(make_backend(fakes, engine, ("batch",)))
    _, outcomes = measure_all(bundle, goal="throughput", rounds=2, registry=registry)
    documents = [each.to_json() for each in outcomes]
    assert documents[0]["options"] == {"threads": 1, "calls": 2, "batch": 16}
    assert len(documents) == 4
    assert all(document["per_second"] > 0 for document in documents)
    rates = [document["per_second"] for document in documents]
    assert rates == sorted(rates, reverse=True)
    assert fakes.Right.open_runners == []


def test_a_benchmark_for_memory_has_what_each_holds(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprep.runtime.footprint.measure_process", lambda *rest: 1000)
    _, outcomes = measure_all(bundle, goal="memory", registry=fakes.registry(fakes.Right))
    assert [each.to_json()["memory_bytes"] for each in outcomes] == [1000]


@pytest.mark.parametrize("name", ["batch", "calls"])
def test_widths_are_whole_numbers_from_1(fakes: SimpleNamespace, engine: Engine, name: str) -> None:
    backend = make_backend(fakes, engine, ("batch", "calls"))()
    model = Model(format="fake", files={"model.fake": b""})
    said = f"option {name!r}: must be a whole number from 1, got 0"
    with pytest.raises(BackendError, match=f"^{re.escape(said)}$"):
        load_wide(backend, model, backend.devices()[0], {name: 0})


def test_what_is_loaded_of_a_batch_that_fails_is_closed(
    fakes: SimpleNamespace, engine: Engine
) -> None:
    backend = make_backend(fakes, engine, ())()
    model = Model(format="fake", files={"model.fake": b""})
    said = "backend 'wide': takes one picture a call, got 4"
    with pytest.raises(BackendError, match=f"^{re.escape(said)}$"):
        load_wide(backend, model, backend.devices()[0], {"threads": 1, "calls": 2, "batch": 4})
    assert len(engine.loaded) == 2
    assert fakes.Right.open_runners == []
