"""Events: kept, counted, logged, and told to whoever listens."""

import logging
from threading import Thread
from typing import Any

import pytest

from edgeprep.errors import InputError
from edgeprep.monitor import Event, Events


def event(number: int = 0) -> Event:
    return Event(kind="failure", message=f"the {number}th", candidate="onnx-int8 onnxruntime cpu")


def test_the_last_events_are_kept_in_order_and_all_are_counted():
    events = Events("digits")
    for number in range(300):
        events.tell(event(number))
    events.tell(Event(kind="restored", message="again"))
    assert [each.message for each in events.kept] == [
        *(f"the {number}th" for number in range(45, 300)),
        "again",
    ]
    assert events.counts == {"failure": 300, "restored": 1}


def test_an_event_is_one_line_of_the_log_that_programs_can_take_apart(caplog):
    caplog.set_level(logging.INFO, "edgeprep")
    events = Events("digits")
    events.tell(event(7))
    events.tell(Event(kind="restored", message="again"))
    first, second = caplog.records
    assert first.getMessage() == "session 'digits': the 7th"
    assert (first.levelname, second.levelname) == ("WARNING", "INFO")
    assert (first.edgeprep_session, first.edgeprep_event.kind) == ("digits", "failure")


@pytest.mark.parametrize(
    ("kind", "details", "level"),
    [
        ("stream", {"state": "back"}, "INFO"),
        ("stream", {"state": "lost"}, "WARNING"),
        ("stream", {"state": "over"}, "WARNING"),
        ("drift", {"fault": "black", "there": False}, "INFO"),
        ("drift", {"fault": "black", "there": True}, "WARNING"),
        ("golden", {"right": True}, "INFO"),
        ("golden", {"right": False}, "WARNING"),
        ("cache", {}, "WARNING"),
    ],
)
def test_what_goes_well_again_is_no_warning(
    caplog: pytest.LogCaptureFixture, kind: Any, details: dict[str, Any], level: str
) -> None:
    caplog.set_level(logging.INFO, "edgeprep")
    Events("digits").tell(Event(kind=kind, message="so it is", details=details))
    (record,) = caplog.records
    assert record.levelname == level


def test_listeners_hear_every_event_and_may_ask_for_the_others():
    events = Events("digits")
    heard: list[tuple[str, int]] = []
    events.listen(lambda each: heard.append((each.message, len(events.kept))))
    events.tell(event(1))
    events.tell(event(2))
    assert heard == [("the 1th", 1), ("the 2th", 2)]


def test_what_a_listener_raises_is_logged_and_hurts_nobody_else(caplog):
    heard: list[Event] = []

    def broken(each: Event) -> None:
        raise RuntimeError("no network")

    events = Events("digits", broken)
    events.listen(heard.append)
    events.tell(event())
    assert len(heard) == 1
    assert "a listener failed" in caplog.text
    assert "no network" in caplog.text


def test_a_logging_handler_that_raises_stops_nothing():
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    logger, handler = logging.getLogger("edgeprep"), Broken()
    logger.addHandler(handler)
    try:
        heard: list[Event] = []
        Events("digits", heard.append).tell(event())
    finally:
        logger.removeHandler(handler)
    assert len(heard) == 1


def test_a_listener_and_a_logging_handler_that_both_raise_stop_nothing():
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    def broken(each: Event) -> None:
        raise RuntimeError("no network")

    logger, handler = logging.getLogger("edgeprep"), Broken()
    logger.addHandler(handler)
    heard: list[Event] = []
    events = Events("digits", broken)
    events.listen(heard.append)
    try:
        events.tell(event())
    finally:
        logger.removeHandler(handler)
    assert len(heard) == 1


def test_threads_lose_no_event():
    events = Events("digits")
    threads = [
        Thread(target=lambda: [events.tell(event(each)) for each in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events.counts == {"failure": 200}


def test_an_event_cannot_be_changed():
    with pytest.raises(AttributeError, match="immutable"):
        event().message = "another"  # type: ignore[misc]


@pytest.mark.parametrize("listener", [5, None, "x"])
def test_what_cannot_be_told_anything_is_no_listener(listener: Any) -> None:
    message = f"^listener: must be called with an event, got {listener!r}$"
    with pytest.raises(InputError, match=message):
        Events("means").listen(listener)
