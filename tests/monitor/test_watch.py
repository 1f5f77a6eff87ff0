"""Which pictures are looked at, and what is told of them."""

from threading import Barrier, Lock, Thread, current_thread
from threading import Event as ThreadEvent
from types import SimpleNamespace

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


def test_of_32_pictures_one_is_looked_at_sooner_or_later_by_chance(watch, pictures):
    looks, _, _ = watch
    seen = [0]
    for number in range(1, 100 * EVERY + 1):
        if looks.is_due():
            seen.append(number)
            looks.look(pictures[0], result(0))
    steps = np.diff(seen)
    assert set(steps) <= set(range(28, 37))
    # Always the same, or two alone, would fall on one of several cameras that take turns.
    assert len(set(steps)) > 2
    assert 100 * EVERY // 36 <= looks.report.looked_at <= 100 * EVERY // 28


def test_where_pictures_are_rare_one_in_ten_seconds_is(watch, pictures):
    looks, _, clock = watch
    seen = []
    for number in range(100):
        if looks.is_due():
            seen.append(number)
            looks.look(pictures[0], result(0))
        clock.now += 1
    assert set(np.diff(seen)) <= {9, 10, 11, 12}
    assert 100 // 12 <= len(seen) <= 100 // 9


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


def black(number):
    return np.full((24, 24, 3), number % 16, np.uint8)


def passing(watch, pictures, cycles, *, seconds):
    """When what begins and ends was told, of 8 black pictures and 8 good ones by turns."""
    looks, events, clock = watch
    told = []
    events.listen(lambda event: told.append((clock.now - 1000, event.details["there"])))
    for _ in range(cycles):
        for number in range(16):
            looks.look(black(number) if number < 8 else pictures[number], result(number % 2))
            clock.now += seconds
    return told


def test_a_fault_that_lasts_for_a_month_is_told_once(watch):
    looks, events, clock = watch
    for number in range(30 * 24):
        looks.look(black(number), result(0))
        clock.now += 3600
    assert [event.details for event in events.kept] == [{"fault": "black", "there": True}]


def test_a_fault_that_comes_and_goes_is_told_ever_more_seldom_to_once_an_hour(watch, pictures):
    # It begins every minute, and is over as often: for 200 minutes.
    told = passing(watch, pictures, 200, seconds=3.75)
    begun = [at for at, there in told if there]
    assert [there for _, there in told] == [True, False] * len(begun)
    assert np.diff(begun).tolist() == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_what_comes_again_two_hours_later_is_told_at_once(watch, pictures):
    told = passing(watch, pictures, 20, seconds=500.0)
    # Every 8000 seconds: at the 8th black picture, and at the 8th good one after it.
    expected = [(7, True), (15, False)]
    assert told == [
        (500.0 * (16 * cycle + at), there) for cycle in range(20) for at, there in expected
    ]


def test_what_is_there_again_is_told_when_the_wait_is_over_and_not_if_it_is_gone_by_then(
    watch, pictures
):
    looks, events, clock = watch
    passing(watch, pictures, 1, seconds=1.0)
    assert len(events.kept) == 2
    # It was told 9 seconds ago. For now the report alone has it.
    for number in range(8):
        looks.look(black(number), result(0))
    assert (len(events.kept), looks.report.faults) == (2, ("black",))
    clock.now += 50
    looks.look(black(8), result(0))
    assert len(events.kept) == 2
    clock.now += 1
    looks.look(black(9), result(0))
    assert events.kept[-1].details == {"fault": "black", "there": True}
    assert events.kept[-1].message.startswith("pictures are black; brightness 0.03")
    # And what is over before it was told is no news.
    passing(watch, pictures, 1, seconds=0.0)
    assert [event.details["there"] for event in events.kept] == [True, False, True, False]
    for number in range(16):
        looks.look(black(number) if number < 8 else pictures[number], result(0))
    clock.now += 10_000
    looks.look(pictures[0], result(0))
    assert (len(events.kept), looks.report.faults) == (4, ())


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


def found_by_a_plugin(reference, events):
    """A watch of a task that has as its classes whatever numbers are in a result."""
    blending = SimpleNamespace(kind="boxes", take=lambda numbers: (None, None, np.array(numbers)))
    return Watch(reference, "rgb", SimpleNamespace(blending=blending), events)


@pytest.mark.parametrize(
    ("numbers", "objects"),
    [((-5,), 0), ((10**11,), 0), ((-1, 7, 1 << 16), 256), ((7.0,), 256), ((float("nan"),), 0)],
    ids=["below 0", "far too large", "one of three", "no integer", "no number"],
)
def test_what_is_no_number_of_a_class_is_left_out(pictures, numbers, objects):
    reference = make_reference(pictures, "rgb", placement="graph", classes=(20, 20))
    events = Events("digits")
    looks = found_by_a_plugin(reference, events)
    for picture in np.random.default_rng(2).integers(40, 200, (256, 24, 24, 3), dtype=np.uint8):
        looks.look(picture, numbers)
    told = [event.message for event in events.kept]
    words = "the network finds other classes than at calibration; "
    assert told == ([f"{words}of {objects} objects 100% of them others"] if objects else [])
    assert looks.report.looked_at == 256


def test_a_picture_that_cannot_be_looked_at_ends_it_with_an_event_and_no_error(watch, pictures):
    looks, events, _ = watch
    looks.look(pictures[0], result(0))
    looks.look(pictures[0, :, :, 0], result(0))
    (event,) = events.kept
    reason = "looking at pictures failed: IndexError: too many indices for array: "
    assert event.kind == "drift"
    assert event.message.startswith(f"drift is no longer looked for; {reason}")
    assert event.details == {"fault": "watch", "there": True}
    assert looks.report.reason.startswith(reason)
    assert not any(looks.is_due() for _ in range(2 * EVERY))


def test_while_one_thread_looks_the_others_go_on(pictures):
    entered, goes_on = ThreadEvent(), ThreadEvent()

    def clock():
        if current_thread().name == "looks":
            entered.set()
            goes_on.wait()
        return 1000.0

    reference = make_reference(pictures, "rgb", placement="graph")
    looks = Watch(reference, "rgb", Classify(labels=("a", "b")), Events("digits"), clock)

    def pass_by():
        for at in range(200):
            if looks.is_due():
                looks.look(pictures[at % 40], result(at % 2))

    one = Thread(target=looks.look, args=(pictures[0], result(0)), name="looks")
    one.start()
    entered.wait()
    others = [Thread(target=pass_by) for _ in range(7)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    # They are through, though the first one is not.
    assert one.is_alive()
    goes_on.set()
    one.join()
    assert looks.report.looked_at == 1


def test_threads_together_look_as_often_as_one(watch, pictures):
    looks, _, _ = watch
    start, turn = Barrier(8), Lock()

    def work(number):
        start.wait()
        for at in range(200):
            with turn:
                if looks.is_due():
                    looks.look(pictures[(number + at) % 40], result(at % 2))

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 28 to 36 pictures lie between two looks.
    assert 8 * 200 // 36 <= looks.report.looked_at <= 8 * 200 // 28
