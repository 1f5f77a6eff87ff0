"""Which pictures are looked at, and what is told of them."""

from threading import Barrier, Thread

import numpy as np
import pytest

from edgeprep.monitor import Events
from edgeprep.monitor.reference import make_reference
from edgeprep.monitor.watch import EVERY, Watch
from edgeprep.tasks.classify import Classify


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(40, 200, (40, 24, 24, 3), dtype=np.uint8)


@pytest.fixture
def watch(pictures):
    made = make_reference(pictures, "rgb", placement="graph", classes=(20, 20))
    events, clock = Events("digits"), Clock()
    made_watch = Watch(made, "rgb", Classify(labels=("a", "b")), events, clock)
    return made_watch, events, clock


def result(number):
    row = np.zeros((1, 2), np.float32)
    row[0, number] = 1
    return Classify(labels=("a", "b")).decode((row,))


def test_of_32_pictures_one_is_looked_at(watch, pictures):
    looks, _, _ = watch
    seen = []
    for number in range(1, 5 * EVERY + 1):
        if looks.is_due():
            seen.append(number)
            looks.look(pictures[0], result(0))
    assert seen == [EVERY * times for times in range(1, 6)]
    assert looks.report.looked_at == 5


def test_where_pictures_are_rare_one_in_ten_seconds_is(watch, pictures):
    looks, _, clock = watch
    seen = []
    for number in range(12):
        if looks.is_due():
            seen.append(number)
            looks.look(pictures[0], result(0))
        clock.now += 4
    assert seen == [3, 6, 9]


def test_what_is_found_is_told_as_events_and_reported(watch):
    looks, events, _ = watch
    for number in range(8):
        looks.look(np.full((24, 24, 3), number, np.uint8), result(0))
    (event,) = events.kept
    assert event.kind == "drift"
    assert event.message.startswith("pictures are black; brightness 0.03, at calibration 0.4")
    assert event.details == {"fault": "black", "there": True}
    assert looks.report.faults == ("black",)
    for picture in np.random.default_rng(1).integers(40, 200, (8, 24, 24, 3), dtype=np.uint8):
        looks.look(picture, result(0))
    assert events.kept[-1].message.startswith("no longer: pictures are black; ")
    assert looks.report.faults == ()


def test_a_listener_may_ask_for_the_report(pictures):
    told = []
    events = Events("digits", lambda event: told.append(looks.report.faults))
    reference = make_reference(pictures, "rgb", placement="graph")
    looks = Watch(reference, "rgb", Classify(labels=("a", "b")), events)
    for number in range(8):
        looks.look(np.full((24, 24, 3), number, np.uint8), result(0))
    assert told == [("black",)]


def test_without_a_reference_nothing_is_due_and_the_report_says_why():
    looks = Watch(None, "rgb", Classify(labels=("a", "b")), Events("digits"))
    assert not any(looks.is_due() for _ in range(100))
    assert looks.report.reason == (
        "the bundle has no reference: it was made by an older edgeprep, or of fewer than 16 "
        "pictures"
    )
    assert looks.report.watched == ()


def test_before_the_first_look_it_is_known_what_can_be_told(watch):
    looks, _, _ = watch
    assert looks.report.looked_at == 0
    assert "classes" in looks.report.watched
    assert "black" in looks.report.watched


def test_a_result_that_has_no_class_after_all_harms_nothing(watch, pictures):
    looks, events, _ = watch
    for picture in pictures[:4]:
        looks.look(picture, "no classification")
    assert looks.report.looked_at == 4
    assert events.kept == ()


def test_threads_look_one_at_a_time_and_none_waits(watch, pictures):
    looks, _, _ = watch
    start = Barrier(8)

    def work(number):
        start.wait()
        for at in range(200):
            if looks.is_due():
                looks.look(pictures[(number + at) % 40], result(at % 2))

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever is due while another looks goes on; these threads do nothing else than to be due.
    assert 0 < looks.report.looked_at <= 2 * 8 * 200 // EVERY
