"""Several cameras on one session, each of which is told of by itself."""

import gc

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.bundle import Reference
from edgeprep.monitor import Events
from edgeprep.monitor.reference import make_reference
from edgeprep.monitor.watch import EVERY
from edgeprep.monitor.watches import Origin, Watches
from edgeprep.tasks.classify import Classify

Picture = NDArray[np.uint8]
TASK = Classify(labels=("a", "b"))
LONG = 12 * EVERY  # enough for 8 looks, and for a few more


@pytest.fixture
def pictures() -> Picture:
    return np.random.default_rng(0).integers(40, 200, (40, 24, 24, 3), dtype=np.uint8)


@pytest.fixture
def reference(pictures: Picture) -> Reference:
    made = make_reference(pictures, "rgb", placement="graph")
    assert made is not None
    return made


@pytest.fixture
def events() -> Events:
    return Events("digits")


@pytest.fixture
def watches(reference: Reference, events: Events) -> Watches:
    return Watches(reference, "rgb", TASK, events)


def pass_by(watches: Watches, origin: Origin | None, picture: Picture) -> None:
    watch = watches.of(origin)
    if watch.is_due():
        watch.look(picture, None)


def told(events: Events) -> list[tuple[str, str]]:
    return [(one.details.get("stream", ""), one.details["fault"]) for one in events.kept]


@pytest.mark.parametrize("bad", [0, 1])
def test_of_two_cameras_in_turns_the_one_that_goes_black_is_told(
    watches: Watches, events: Events, pictures: Picture, bad: int
) -> None:
    cameras = [Origin("camera 0"), Origin("camera 1")]
    for number in range(LONG):
        for camera, origin in enumerate(cameras):
            light = 40 if camera == bad else 1
            pass_by(watches, origin, pictures[number % 40] // light)
    assert told(events) == [(f"camera {bad}", "black")]
    assert events.kept[0].message.startswith(f"camera {bad}: pictures are black; brightness 0.0")
    assert watches.report.streams == {f"camera {bad}": ("black",)}
    assert watches.report.faults == ("black",)


@pytest.mark.parametrize("cameras", [2, 4, 8])
def test_callers_in_turns_are_all_looked_at(
    watches: Watches, pictures: Picture, cameras: int
) -> None:
    """With an even stride it would be always the same camera; by chance each has its share."""
    looks = [0] * cameras
    watch = watches.of(None)
    for number in range(400 * EVERY):
        if watch.is_due():
            looks[number % cameras] += 1
            watch.look(pictures[number % 40], None)
    # A third of its share, of 50 to 200: less is as likely as nothing else in these tests.
    assert min(looks) > 400 / cameras / 3


def test_a_camera_that_is_opened_again_is_the_same_one(
    watches: Watches, events: Events, pictures: Picture
) -> None:
    for _ in range(2):
        again = Origin("camera 0")
        for number in range(LONG // 2):
            pass_by(watches, again, pictures[number % 40] // 40)
    assert told(events) == [("camera 0", "black")]
    assert watches.of(Origin("camera 0")) is watches.of(Origin("camera 0"))


def test_streams_of_pictures_at_one_time_are_several_and_one_after_another_are_one(
    watches: Watches,
) -> None:
    first, second = Origin(), Origin()
    assert watches.of(first) is watches.of(None)
    assert watches.of(second).name == "pictures#1"
    assert watches.of(second) is watches.of(second)
    del first
    gc.collect()
    third = Origin()
    assert watches.of(third) is watches.of(None)
    assert watches.of(second).name == "pictures#1"


def test_of_streams_that_have_ended_the_last_64_are_known_and_all_looks_are_counted(
    watches: Watches, pictures: Picture
) -> None:
    running = Origin("film")
    watches.of(running).look(pictures[0], None)
    for number in range(100):
        ended = Origin(f"film {number}")
        for at in range(8):
            watches.of(ended).look(pictures[at] // 40, None)
    assert set(watches.report.streams) == {f"film {number}" for number in range(35, 100)}
    assert watches.report.looked_at == 1 + 8 * 100
    assert watches.of(running) is watches.of(Origin("film"))


def test_without_a_reference_the_report_says_so(events: Events) -> None:
    watches = Watches(None, "rgb", TASK, events)
    assert not watches.of(Origin("camera 0")).is_due()
    assert watches.report.reason.startswith("the bundle has no reference")
