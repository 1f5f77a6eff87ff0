"""What a session counts, tells of memory, and tells of pictures that have changed."""

import json
import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from prometheus_client import CollectorRegistry

import edgeprep
from edgeprep.bundle import Manifest
from edgeprep.errors import BackendError, BackendWrongOutput, ClosedError, DTypeError
from edgeprep.monitor.opentelemetry import observe
from edgeprep.monitor.prometheus import register
from edgeprep.monitor.reference import make_reference
from edgeprep.monitor.watch import EVERY

Picture = NDArray[np.uint8]
MB = 2**20


def counts(session: edgeprep.Session) -> dict[str, int]:
    return {step: found.count for step, found in session.metrics().steps.items()}


def test_every_step_of_every_call_is_counted(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Slow)) as session:
        for _ in range(5):
            session(picture)
        session.batch([picture] * 3)
        assert counts(session) == {"prepare": 8, "run": 8, "decode": 8, "total": 8}
        list(session.stream([picture] * 4))
        assert counts(session) == {"prepare": 12, "run": 12, "decode": 12, "total": 12}
        steps = session.metrics().steps
    # The engine takes 3 ms, and is nearly all there is.
    assert 3 <= steps["run"].mean_ms <= steps["total"].mean_ms + 3
    assert steps["run"].quantile_ms(0.5) > 2
    assert steps["decode"].mean_ms < steps["run"].mean_ms


def test_of_a_stream_the_wait_for_its_pictures_is_not_counted(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    def camera() -> Iterator[Picture]:
        for _ in range(3):
            sleep(0.2)
            yield picture

    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Slow)) as session:
        list(session.stream(camera()))
        total = session.metrics().steps["total"]
    assert total.count == 3
    # The engine takes 3 ms.
    assert 9 <= total.sum_ms < 300


def test_metrics_are_a_document_with_a_version(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Right)) as session:
        session(picture)
        document = json.loads(json.dumps(session.metrics().to_json()))
    assert document["schema_version"] == 1
    assert document["session"] == "means"
    assert document["candidate"].startswith("fake-fp32 right")
    assert document["steps"]["run"]["count"] == 1
    assert len(document["bounds_ms"]) + 1 == len(document["steps"]["run"]["counts"])
    assert (document["errors"], document["dropped"], document["queued"]) == ({}, 0, 0)
    assert document["process"]["rss_bytes"] > MB
    assert document["up_s"] >= 0
    assert document["worker"] is None
    assert document["members"] == {}
    assert set(document["drift"]) == {"reason", "looked_at", "faults", "watched", "streams"}


def test_two_sessions_are_handed_on_side_by_side(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    registry, reader = CollectorRegistry(), InMemoryMetricReader()
    provider = MeterProvider([reader])
    fake = fakes.registry(fakes.Right)
    with (
        edgeprep.open(bundle, probe=False, registry=fake) as first,
        edgeprep.open(bundle, probe=False, registry=fake) as second,
    ):
        for session in (first, second):
            register(session, registry=registry)
            observe(session, provider=provider)
        for session in (first, second, second):
            session(picture)
        for name, calls in (("means", 1), ("means#1", 2)):
            labels = {"session": name, "step": "total"}
            count = registry.get_sample_value("edgeprep_step_seconds_count", labels)
            assert count == calls
        data = reader.get_metrics_data()
        assert data is not None
        counts = {
            (point.attributes or {})["session"]: point.count
            for metric in data.resource_metrics[0].scope_metrics[0].metrics
            for point in metric.data.data_points
            if isinstance(point, HistogramDataPoint)
            if (point.attributes or {})["step"] == "total"
        }
    assert counts == {"means": 1, "means#1": 2}
    provider.shutdown()


def test_errors_are_counted_by_their_class(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Right)) as session:
        for _ in range(2):
            with pytest.raises(DTypeError, match="float32"):
                session(picture.astype(np.float32))
        stream = session.stream([picture.astype(np.int8), picture])
        with pytest.raises(DTypeError, match="int8"):
            next(stream)
        assert next(stream).label == "green"
    with pytest.raises(ClosedError, match="must be open"):
        session(picture)
    assert session.metrics().errors == {"DTypeError": 3, "ClosedError": 1}


def test_what_the_engine_cannot_do_is_counted_too(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    class Later(fakes.Right):  # type: ignore[name-defined,misc]
        name = "later"
        fault: str = ""

        def compute(self, image: Picture) -> NDArray[np.float32]:
            if Later.fault == "raise":
                raise RuntimeError("device lost")
            means: NDArray[np.float32] = super().compute(image)
            return means * np.float32("nan") if Later.fault == "nan" else means

    opened = edgeprep.open(bundle, probe=False, strict=True, registry=fakes.registry(Later))
    with opened as session:
        session(picture)
        Later.fault = "raise"
        with pytest.raises(BackendError, match="device lost"):
            session(picture)
        Later.fault = "nan"
        with pytest.raises(BackendWrongOutput, match="wrong numbers"):
            session(picture)
        assert session.metrics().errors == {"BackendError": 1, "BackendWrongOutput": 1}


@pytest.fixture
def leaking(fakes: SimpleNamespace) -> Any:
    class Leaking(fakes.Right):  # type: ignore[name-defined,misc]
        """Keeps 11 MB of every call, as onnxruntime did on Arm."""

        name = "leaking"
        kept: ClassVar[list[NDArray[np.uint8]]] = []

        def compute(self, image: Picture) -> NDArray[np.float32]:
            # Pages of its own: the heap would take what tests before have freed.
            pages = np.frombuffer(mmap.mmap(-1, 11 * 10**6, flags=mmap.MAP_PRIVATE), np.uint8)
            pages.fill(1)
            Leaking.kept.append(pages)
            means: NDArray[np.float32] = super().compute(image)
            return means

    yield Leaking
    Leaking.kept.clear()


def test_an_engine_that_leaks_11_mb_a_call_is_told_within_a_hundred_calls(
    bundle: Path, fakes: SimpleNamespace, picture: Picture, leaking: Any
) -> None:
    opened = edgeprep.open(
        bundle, probe=False, prefer="leaking", registry=fakes.registry(leaking, fakes.Slow)
    )
    with opened as session:
        calls = 0
        while not session.events.counts.get("memory"):
            assert session(picture).label == "green"
            calls += 1
            assert calls < 100
        (event,) = (one for one in session.events.kept if one.kind == "memory")
        pattern = r"fake-fp32 leaking cpu .*does not give back its memory: 1[01]\.\d MB a call, "
        assert re.match(pattern, event.message)
        assert event.details["call_bytes"] == pytest.approx(11e6, rel=0.1)
        # In this process that may be the application's: it is told, and nothing else happens.
        assert session(picture).label == "green"
        assert session.choice.backend == "leaking"
        assert session.events.counts == {"memory": 1}
        assert session.health().state == "ok"


@pytest.fixture
def scenes() -> Picture:
    """Many pictures of one camera: 4×4 pixels, bright and dim by turns."""
    return np.random.default_rng(0).integers(30, 220, (64, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def watched(write: Callable[[Manifest], Path], manifest: Manifest, scenes: Picture) -> Path:
    reference = make_reference(scenes, "rgb", placement="graph", classes=(20, 22, 22))
    assert reference is not None
    return write(replace(manifest, references=(reference,)))


def test_a_camera_that_goes_black_is_told_and_so_is_its_return(
    watched: Path, fakes: SimpleNamespace, scenes: Picture
) -> None:
    told: list[tuple[str, bool]] = []
    opened = edgeprep.open(
        watched,
        probe=False,
        registry=fakes.registry(fakes.Right),
        on_event=lambda event: told.append((event.details["fault"], event.details["there"])),
    )
    with opened as session:
        for number in range(10 * EVERY):
            session(scenes[number % 63])
        assert (told, session.drift().faults) == ([], ())
        for number in range(9 * EVERY):
            session(scenes[number % 63] // 40)
        assert told == [("black", True)]
        assert session.drift().faults == ("black",)
        assert session.metrics().drift.faults == ("black",)
        list(session.stream(scenes[number % 63] for number in range(9 * EVERY)))
        assert told == [("black", True), ("black", False)]
        # Of 28 times 32 pictures, one of 28 to 36.
        assert 28 * EVERY // 36 <= session.drift().looked_at <= 28 * EVERY // 28


def test_of_two_streams_in_turns_the_camera_that_goes_black_is_told_by_itself(
    watched: Path, fakes: SimpleNamespace, scenes: Picture
) -> None:
    """Of streams of pictures, one at a time is watched with the calls; others by themselves."""
    with edgeprep.open(watched, probe=False, registry=fakes.registry(fakes.Right)) as session:
        good = session.stream(scenes[number % 63] for number in range(10 * EVERY))
        black = session.stream(scenes[number % 63] // 40 for number in range(10 * EVERY))
        for _ in zip(good, black, strict=True):
            pass
        (event,) = session.events.kept
        assert event.details == {"fault": "black", "there": True, "stream": "pictures#1"}
        assert event.message.startswith("pictures#1: pictures are black; brightness 0.0")
        assert session.drift().streams == {"pictures#1": ("black",)}
        document = session.metrics().to_json()
        assert document["drift"]["streams"] == {"pictures#1": ("black",)}


def test_a_session_whose_answers_are_all_of_one_class_tells_so(
    watched: Path, fakes: SimpleNamespace, scenes: Picture
) -> None:
    with edgeprep.open(watched, probe=False, registry=fakes.registry(fakes.Right)) as session:
        others = np.random.default_rng(1)
        for _ in range(290 * EVERY):
            seen = others.integers(30, 220, scenes[0].shape, dtype=np.uint8)
            seen[:, :, 2] //= 2
            seen[:, :, 0] //= 2
            session(seen)
        faults = [one.details["fault"] for one in session.events.kept if one.kind == "drift"]
    assert "classes" in faults


def test_a_bundle_without_a_reference_opens_and_drift_says_that_it_has_none(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Right)) as session:
        for _ in range(20 * EVERY):
            session(picture // 100)
        found = session.drift()
        assert session.events.kept == ()
    assert found.reason == (
        "the bundle has no reference: it was made by an older edgeprep, or of fewer than 16 "
        "pictures"
    )
    assert (found.looked_at, found.faults, found.watched) == (0, (), ())
