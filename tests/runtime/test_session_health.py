"""Sessions whose engines fail: who answers, what is told, and what nobody may notice."""

import gc
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import (
    EnsembleManifest,
    Manifest,
    Part,
    SourceRecord,
    open_bundle,
    write_ensemble,
)
from edgeprep.errors import (
    BackendCrashed,
    BackendError,
    BackendWrongOutput,
    ClosedError,
    InputError,
    NonFiniteOutput,
    NoUsableBackend,
)
from edgeprep.interfaces import Device
from edgeprep.monitor import Event
from edgeprep.runtime import Recheck
from edgeprep.runtime.kept import KeptFile

Picture = NDArray[np.uint8]


@pytest.fixture
def engines(fakes: SimpleNamespace) -> SimpleNamespace:
    """Three engines, "one", "two" and "three", whose runs a test may spoil."""

    def make(called: str) -> type[Any]:
        class Engine(fakes.Right):  # type: ignore[misc,name-defined]
            name = called
            spoil: Any = staticmethod(lambda means: means)

            def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
                return np.asarray(type(self).spoil(super().compute(image)))

        return Engine

    classes = [make(name) for name in ("one", "two", "three")]
    return SimpleNamespace(
        **{cls.name: cls for cls in classes}, registry=fakes.registry(*classes), all=classes
    )


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def opened(
    bundle: Path, engines: SimpleNamespace, told: list[Event]
) -> Callable[..., edgeprep.Session]:
    def opened(**given: Any) -> edgeprep.Session:
        options = {"probe": False, "registry": engines.registry, "on_event": told.append}
        return edgeprep.open(bundle, **{**options, **given})

    return opened


def lost(means: object) -> object:
    raise RuntimeError("device lost")


def backends(session: edgeprep.Session) -> list[str]:
    return [link.candidate.backend for link in session.health().links]


def settle(session: Any) -> None:
    """Until nothing is done in the background."""
    session._runner._tending.background.wait()


def test_a_session_is_well_after_it_was_opened(opened: Any, picture: Picture) -> None:
    with opened() as session:
        session(picture)
        health = session.health()
        assert (health.state, health.failures, dict(health.events)) == ("ok", 0, {})
        assert health.chosen == health.answering == session.choice
        assert backends(session) == ["one", "two", "three"]
        assert session.events.kept == ()


def test_a_call_that_fails_is_answered_all_the_same_and_told(
    opened: Any, engines: SimpleNamespace, told: list[Event], picture: Picture
) -> None:
    with opened() as session:
        engines.one.spoil = lost
        assert session(picture).label == "green"
        assert session.outputs(picture)[0].tolist() == [[10, 200, 30]]
        assert session.batch([picture, picture])[1].label == "green"
        assert [event.kind for event in told] == ["failure"] * 3 + ["fallback"]
        assert session.events.kept == tuple(told)
        assert session.choice.backend == "two"
        assert session.outcomes[0].candidate.backend == "one"
        assert session.health().state == "degraded"
        assert session.explain().endswith(
            "now fake-fp32 two cpu threads=1 answers; see health() and events"
        )


def test_health_can_be_printed_by_machines(opened: Any, picture: Picture) -> None:
    with opened(recheck=Recheck(runs=1)) as session:
        session(picture)
        settle(session)
        found = session.health().to_json()
    assert found["golden"].pop("at_s") > 0
    assert found == {
        "state": "ok",
        "chosen": "fake-fp32 one cpu threads=1",
        "answering": "fake-fp32 one cpu threads=1",
        "failures": 0,
        "golden": {
            "candidate": "fake-fp32 one cpu threads=1",
            "error": 0.0,
            "allowed": 1e-3,
            "right": True,
        },
        "links": [
            {
                "candidate": f"fake-fp32 {name} cpu threads=1",
                "state": state,
                "reason": "",
                "failures": 0,
            }
            for name, state in (("one", "ready"), ("two", "waiting"), ("three", "waiting"))
        ],
        "events": {},
        "members": {},
    }


def test_the_chain_goes_by_measured_speed(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    registry = fakes.registry(fakes.Slow, fakes.Wrong, fakes.Right)
    with edgeprep.open(bundle, registry=registry, seconds=0.05) as session:
        assert backends(session) == ["right", "slow"]
    with edgeprep.open(bundle, registry=registry, seconds=0.05) as session:
        assert session.remembered
        assert backends(session) == ["right", "slow"]


def test_what_something_else_was_preferred_to_answers_last(
    opened: Any, engines: SimpleNamespace, picture: Picture
) -> None:
    with opened(prefer="two") as session:
        assert backends(session) == ["two"]
        engines.two.spoil = engines.one.spoil = lost
        assert session(picture).label == "green"
        assert backends(session) == ["two", "one", "three"]
        assert session.events.kept[-1].details["answered_by"] == "fake-fp32 three cpu threads=1"


def test_strict_lets_nothing_else_answer(
    opened: Any, engines: SimpleNamespace, told: list[Event], picture: Picture
) -> None:
    with opened(strict=True) as session:
        engines.one.spoil = lost
        with pytest.raises(BackendError, match=r"must run, got RuntimeError: device lost$"):
            session(picture)
        assert [event.kind for event in told] == ["failure"]
        assert backends(session) == ["one"]


def test_where_nothing_can_answer_every_reason_is_said(
    opened: Any, engines: SimpleNamespace, picture: Picture
) -> None:
    with opened() as session:
        for engine in engines.all:
            engine.spoil = lost
        for _ in range(4):
            with pytest.raises(NoUsableBackend, match="at least one candidate") as fault:
                session(picture)
        assert str(fault.value) == (
            "session 'means': at least one candidate must answer, got none\n"
            "  fake-fp32 one cpu threads=1: out, RuntimeError('device lost')\n"
            "  fake-fp32 two cpu threads=1: out, RuntimeError('device lost')\n"
            "  fake-fp32 three cpu threads=1: out, RuntimeError('device lost')"
        )
        assert session.health().state == "failed"
        assert session.metrics().errors == {"NoUsableBackend": 4}


WRONG: dict[str, Callable[[Any], Any]] = {
    "constant": lambda means: np.full_like(means, 0.5),
    "permuted": lambda means: means[:, ::-1].copy(),
    "scaled": lambda means: means * np.float32(1.5),
    "NaN": lambda means: means * np.float32("nan"),
    "off by a hundredth": lambda means: means * np.float32(1.01),
    "swapped places": lambda means: means[:, [1, 0, 2]],
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_numbers_never_answer(
    opened: Any, engines: SimpleNamespace, picture: Picture, kind: str
) -> None:
    engines.one.spoil = staticmethod(WRONG[kind])
    with opened() as session:
        assert session.choice.backend == "two"
        assert session(picture).label == "green"


def test_what_was_never_proven_reproduces_samples_that_are_not_kept_in_memory_too(
    opened: Any, engines: SimpleNamespace, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprep.runtime.links._KEPT_BYTES", 1)  # one sample, of four
    last = np.random.default_rng(7).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)[-1:]
    expected = last.mean(axis=(1, 2))

    def wrong_on_the_last(means: NDArray[np.float32]) -> NDArray[np.float32]:
        return means * np.float32(1.5 if np.allclose(means, expected, atol=1e-2) else 1.0)

    with opened() as session:
        engines.one.spoil = staticmethod(lost)
        engines.two.spoil = staticmethod(wrong_on_the_last)
        assert session(picture).label == "green"
        two, three = session.health().links[1:]
        assert (two.candidate.backend, two.state) == ("two", "out")
        assert two.reason == "wrong numbers: relative error 0.5, allowed 0.001"
        assert (three.candidate.backend, three.state) == ("three", "ready")


@pytest.mark.parametrize("kind", WRONG)
def test_numbers_that_become_wrong_later_are_found_and_another_engine_answers(
    opened: Any, engines: SimpleNamespace, told: list[Event], picture: Picture, kind: str
) -> None:
    with opened(recheck=Recheck(runs=4)) as session:
        session(picture)
        engines.one.spoil = staticmethod(WRONG[kind])
        for _ in range(4):  # the fifth call at the latest is after the check
            session(picture)
            settle(session)
        assert session.outputs(picture)[0].tolist() == [[10, 200, 30]]
        assert [event.kind for event in told] == ["golden", "fallback"]
        assert session.choice.backend == "two"


def test_strict_says_that_numbers_have_become_wrong(
    opened: Any, engines: SimpleNamespace, picture: Picture
) -> None:
    with opened(strict=True, recheck=Recheck(runs=1)) as session:
        engines.one.spoil = staticmethod(WRONG["scaled"])
        session(picture)
        settle(session)
        message = "wrong numbers: relative error 0.5, allowed 0.001"
        with pytest.raises(BackendWrongOutput, match=f"^{re.escape(message)}$"):
            session(picture)


def test_nan_of_a_broken_engine_is_answered_by_another_one(
    opened: Any, engines: SimpleNamespace, told: list[Event], picture: Picture
) -> None:
    with opened() as session:
        engines.one.spoil = staticmethod(WRONG["NaN"])
        assert session(picture).label == "green"
        assert [event.kind for event in told] == ["golden", "fallback"]


def test_nan_of_the_network_itself_is_an_error_as_ever(
    opened: Any, engines: SimpleNamespace, told: list[Event], picture: Picture
) -> None:
    with opened() as session:
        # Of this picture alone: the golden samples come out right.
        engines.one.spoil = staticmethod(
            lambda means: means * np.float32("nan") if means[0, 0] == 10 else means
        )
        with pytest.raises(NonFiniteOutput, match=r"got 3 NaN and 0 infinite of 3 numbers"):
            session(picture)
        assert told == []
        assert session.health().golden.right


def test_a_bundle_that_is_replaced_or_removed_while_it_runs_still_has_its_other_candidates(
    opened: Any, engines: SimpleNamespace, bundle: Path, picture: Picture
) -> None:
    with opened() as session:
        other = bundle.with_suffix(".new")
        other.write_bytes(b"an update")
        other.replace(bundle)
        bundle.unlink()
        engines.one.spoil = lost
        assert session(picture).label == "green"


def test_a_bundle_that_is_written_into_while_it_runs_gives_no_candidate_and_is_told_once(
    opened: Any, engines: SimpleNamespace, bundle: Path, told: list[Event], picture: Picture
) -> None:
    with opened() as session:
        content = bytearray(bundle.read_bytes())
        content[-1] ^= 1
        with bundle.open("r+b") as file:
            file.write(content)
        engines.one.spoil = lost
        reason = (
            f"{bundle}: must not be written into while a session has it open, got other bytes "
            "than were opened; to update it, write another file and rename that to this"
        )
        for _ in range(3):
            with pytest.raises(NoUsableBackend, match=re.escape(reason)):
                session(picture)
        assert told[0].message == f"candidates cannot be loaded: {reason}"
        assert [event.kind for event in told] == ["verdict", *["failure"] * 3]  # of each call


def test_the_cpu_is_the_last_resort_whatever_its_library_is_called(
    bundle: Path, fakes: SimpleNamespace, engines: SimpleNamespace
) -> None:
    class Elsewhere(fakes.Right):  # type: ignore[misc,name-defined]
        name = "elsewhere"

        def devices(self) -> tuple[Device, ...]:
            return (Device(name="xnnpack", kind="cpu"), Device(name="cpu.1", kind="npu"))

    registry = fakes.registry(engines.one, Elsewhere)
    with edgeprep.open(bundle, probe=False, registry=registry) as session:
        links = [link.candidate.device for link in session.health().links]
        assert links == ["cpu", "cpu.1", "xnnpack"]
    # What prefer leaves out is looked for when it is needed.
    with edgeprep.open(bundle, probe=False, prefer="one", registry=registry) as session:
        engines.one.spoil = lost
        assert session(np.zeros((4, 4, 3), np.uint8)).label == "red"
        links = [link.candidate.device for link in session.health().links]
        assert links == ["cpu", "cpu.1", "xnnpack"]


def test_a_bundle_need_not_be_read_again_where_it_is_gone_at_once(bundle: Path) -> None:
    contents = open_bundle(bundle)
    bundle.unlink()
    kept = KeptFile(contents)
    with pytest.raises(edgeprep.EdgePrepError, match=r"must be open to be read again, got none$"):
        kept.read("fake-fp32")
    kept.close()


def test_the_file_of_a_session_is_closed_with_it(opened: Any, picture: Picture) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = files()
    session = opened()
    assert files() == before + 1
    session.close()
    assert files() == before


def test_what_a_listener_does_with_the_session_does_not_stop_it(
    bundle: Path, engines: SimpleNamespace, picture: Picture
) -> None:
    found: list[object] = []

    def listen(event: Event) -> None:
        found.append((session(picture).label, session.health().state, session.choice.backend))
        raise OSError("no network")

    options: dict[str, Any] = {"probe": False, "registry": engines.registry}
    with edgeprep.open(bundle, on_event=listen, **options) as session:
        engines.one.spoil = lost
        assert session(picture).label == "green"
    assert found
    assert all(label == "green" for label, _, _ in found)  # type: ignore[misc]


def test_a_closed_session_has_no_health(opened: Any) -> None:
    session = opened()
    session.close()
    with pytest.raises(ClosedError, match="got a call after close"):
        session.health()
    assert session.choice.backend == "one"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recheck": 5}, "recheck: must be a Recheck, or None for never, got 5"),
        ({"on_event": "log"}, "on_event: must be called with an event, got 'log'"),
    ],
    ids=["no recheck", "listener"],
)
def test_what_open_cannot_use_is_refused(opened: Any, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        opened(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"runs": 0}, "recheck.runs: must be a whole number from 1, got 0"),
        ({"samples": -1}, "recheck.samples: must be a whole number from 1, got -1"),
        ({"samples": True}, "recheck.samples: must be a whole number from 1, got True"),
        ({"minutes": 0}, "recheck.minutes: must be above 0 and finite, got 0"),
        ({"minutes": "10"}, "recheck.minutes: must be above 0 and finite, got '10'"),
        ({"minutes": True}, "recheck.minutes: must be above 0 and finite, got True"),
    ],
)
def test_how_often_golden_samples_are_reproduced_is_checked_where_it_is_said(
    given: Any, message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        edgeprep.Recheck(**given)


def test_never_is_a_recheck_too(opened: Any, picture: Picture) -> None:
    with opened(recheck=None) as session:
        for _ in range(20):
            session(picture)
        settle(session)
        assert session.health().golden is None


@pytest.fixture
def together(write: Callable[[Manifest], Path], manifest: Manifest, tmp_path: Path) -> Path:
    """An ensemble of two networks, "plain" twice."""
    return _ensemble(write(replace(manifest, name="plain")), tmp_path)


def _ensemble(plain: Path, tmp_path: Path) -> Path:
    """An ensemble of the network in `plain`, twice."""
    content, manifest = plain.read_bytes(), open_bundle(plain).manifest
    parts = tuple(
        Part(name="plain", bundle=f"parts/{index}.edgeprep", weight=1.0) for index in range(2)
    )
    whole = EnsembleManifest(
        name="together",
        created_with={"edgeprep": "0.1.0"},
        recipe_sha256="cd" * 32,
        task=manifest.task,
        input=manifest.input,
        combine={"use": "average"},
        parts=parts,
        score=SourceRecord(),
    )
    path = tmp_path / "together.edgeprep"
    write_ensemble(path, whole, {part.bundle: content for part in parts})
    return path


def test_members_of_an_ensemble_fall_back_each_for_itself_and_tell_the_ensemble(
    together: Path, engines: SimpleNamespace, told: list[Event], picture: Picture
) -> None:
    options: dict[str, Any] = {"probe": False, "registry": engines.registry}
    with edgeprep.open(together, on_event=told.append, **options) as session:
        assert session.health().state == "ok"
        together.unlink()
        engines.one.spoil = lost
        for _ in range(3):
            assert session(picture).label == "green"
        health = session.health()
        assert (health.state, health.failures) == ("degraded", 6)
        assert set(health.members) == {"plain#0", "plain#1"}
        assert [event.kind for event in told].count("fallback") == 2
        assert {event.candidate for event in told if event.kind == "fallback"} == {
            "plain#0/fake-fp32 two cpu threads=1",
            "plain#1/fake-fp32 two cpu threads=1",
        }
        assert health.to_json()["members"]["plain#0"]["state"] == "degraded"
        assert session.events.kept == tuple(told)
        for engine in engines.all:
            engine.spoil = lost
        with pytest.raises(NoUsableBackend, match="session 'plain'"):
            session(picture)


@pytest.mark.parametrize("kind", ["bundle", "together"])
def test_the_collector_runs_while_candidates_are_measured(
    kind: str, request: pytest.FixtureRequest, engines: SimpleNamespace
) -> None:
    seen: set[bool] = set()

    def watch(means: object) -> object:
        seen.add(gc.isenabled())
        return means

    engines.one.spoil = staticmethod(watch)
    path, registry = request.getfixturevalue(kind), engines.registry
    with edgeprep.open(path, registry=registry, seconds=0.0) as session:
        assert not session.remembered
        assert seen == {True}


@pytest.mark.parametrize(
    ("damaged", "answering"), [("fake-other", "fake-fp32"), ("fake-fp32", "fake-other")]
)
def test_a_member_that_is_rescued_reads_one_model_and_verifies_that(
    write: Callable[[Manifest], Path],
    manifest: Manifest,
    tmp_path: Path,
    engines: SimpleNamespace,
    told: list[Event],
    picture: Picture,
    damaged: str,
    answering: str,
) -> None:
    (first,) = manifest.variants
    second = replace(
        first,
        name="fake-other",
        size_bytes=first.size_bytes + 1,
        files=("variants/fake-other/model.fake",),
        golden_outputs=("golden/fake-other/0.bin",),
    )
    path = _ensemble(write(replace(manifest, name="plain", variants=(first, second))), tmp_path)
    options: dict[str, Any] = {"probe": False, "registry": engines.registry}
    with edgeprep.open(path, on_event=told.append, **options) as session:
        content = path.read_bytes()
        # Models hold the name of their variant, and nothing else.
        models = [found.start() for found in re.finditer(damaged.encode() + rb"(\0|\Z)", content)]
        assert len(models) == 2
        with path.open("r+b") as file:
            for start in models:
                file.seek(start)
                file.write(b"F")
        engines.one.spoil = lost
        assert session(picture).label == "green"
        assert {event.details["answered_by"] for event in told if event.kind == "failure"} == {
            f"plain#{index}/{answering} two cpu threads=1" for index in range(2)
        }


def test_an_ensemble_may_be_strict(
    together: Path, engines: SimpleNamespace, picture: Picture
) -> None:
    options: dict[str, Any] = {"probe": False, "registry": engines.registry, "strict": True}
    with edgeprep.open(together, **options) as session:
        engines.one.spoil = lost
        with pytest.raises(BackendError, match="device lost"):
            session(picture)


def test_what_a_network_remembers_goes_on_with_the_engine_that_takes_over(
    opened: Any, engines: SimpleNamespace, picture: Picture
) -> None:
    # Whoever answers gets the states from the session, so that an engine has none to lose.
    with opened() as session:
        stream = session.stream([picture, picture, picture, picture])
        results = [next(stream)]
        engines.one.spoil = lost
        results += list(stream)
        assert [result.label for result in results] == ["green"] * 4


def test_a_death_is_no_end_of_the_session(
    opened: Any, engines: SimpleNamespace, told: list[Event], picture: Picture
) -> None:
    def die(means: object) -> object:
        engines.one.spoil = staticmethod(lambda means: means)  # its next process is well
        raise BackendCrashed("backend 'one': must live, got its death by SIGSEGV")

    with opened() as session:
        engines.one.spoil = staticmethod(die)
        assert session(picture).label == "green"
        settle(session)
        assert session(picture).label == "green"
        assert [event.kind for event in told] == ["failure", "fallback", "restored"]
        assert session.choice.backend == "one"
