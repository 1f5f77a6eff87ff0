"""Listeners: called with every answer and every error, in a thread of their stream."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import FilmError, InputError
from edgeprep.runtime import Session

Pixels = NDArray[np.uint8]
Open = Callable[..., Session]
Grey = Callable[..., Pixels]
Level = Callable[[Any], float | None]

PATIENCE_S = 30.0


def test_listeners_are_called_with_every_answer(
    open_session: Open, grey: Grey, level: Level
) -> None:
    heard: list[float | None] = []
    stream = open_session().stream([grey(v) for v in (4, 5, 6)], policy="every")
    stream.follow(lambda answer: heard.append(level(answer)))
    assert stream.join(PATIENCE_S)
    assert heard == [4, 5, 6]


def test_a_listener_is_called_though_nobody_holds_the_stream(
    open_session: Open, grey: Grey, level: Level
) -> None:
    go_on, over = threading.Event(), threading.Event()
    heard: list[float | None] = []

    def camera() -> Iterator[Pixels]:
        assert go_on.wait(PATIENCE_S)
        yield grey(4)
        yield grey(5)
        raise FilmError("camera: is gone")

    open_session().stream(camera(), policy="every").follow(
        lambda answer: heard.append(level(answer)), fault=lambda error: over.set()
    )
    gc.collect()
    go_on.set()
    assert over.wait(PATIENCE_S)
    assert heard == [4, 5]


def test_a_stream_has_one_listener(open_session: Open, grey: Grey) -> None:
    heard: list[int] = []
    with open_session().stream([grey(1), grey(2)], policy="every") as stream:
        stream.follow(lambda answer: heard.append(answer.index))
        message = r"^stream of pictures: must be followed by one listener, got another one$"
        with pytest.raises(InputError, match=message):
            stream.follow(print)
        assert stream.join(PATIENCE_S)
    assert heard == [0, 1]


@pytest.mark.parametrize(
    ("given", "name"), [((3,), "listener"), ((None,), "listener"), ((print, 3), "fault")]
)
def test_what_cannot_be_called_is_no_listener(
    open_session: Open, grey: Grey, given: tuple[Any, ...], name: str
) -> None:
    with open_session().stream([grey(1)], policy="every") as stream:
        rule = "must be a function of one argument"
        message = f"^stream of pictures: {name}: {rule}, got {given[-1]}$"
        with pytest.raises(InputError, match=message):
            stream.follow(*given[:1], **dict(zip(["fault"], given[1:], strict=False)))
        assert next(stream).index == 0


def test_a_listener_and_a_logging_handler_that_both_raise_stop_no_stream(
    open_session: Open, grey: Grey
) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    heard: list[int] = []

    def listener(answer: Any) -> None:
        heard.append(answer.index)
        raise RuntimeError("a bug")

    logger, handler = logging.getLogger("edgeprep"), Broken()
    logger.addHandler(handler)
    try:
        stream = open_session().stream([grey(1), grey(2)], policy="every")
        stream.follow(listener)
        assert stream.join(PATIENCE_S)
    finally:
        logger.removeHandler(handler)
    assert heard == [0, 1]


def test_listeners_hear_of_errors_and_of_the_end(open_session: Open, grey: Grey) -> None:
    def camera() -> Iterator[Any]:
        yield grey(1)
        yield "no picture"
        raise FilmError("camera: is gone")

    heard: list[str] = []
    stream = open_session().stream(camera(), policy="every")
    stream.follow(
        lambda answer: heard.append(str(answer.index)), fault=lambda error: heard.append(str(error))
    )
    assert stream.join(PATIENCE_S)
    assert heard[0] == "0"
    assert heard[1].startswith("picture: must be ")
    assert heard[2:] == ["camera: is gone"]


def test_a_listener_that_fails_is_called_again_and_logged(
    open_session: Open, grey: Grey, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []

    def listener(answer: Any) -> None:
        heard.append(answer.index)
        raise RuntimeError("a bug")

    session = open_session()
    stream = session.stream([grey(1), grey(2)], policy="every")
    stream.follow(listener)
    assert stream.join(PATIENCE_S)
    assert heard == [0, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "stream of pictures: a listener failed",
        "stream of pictures: a listener failed",
    ]


def test_a_listener_may_use_the_session(open_session: Open, grey: Grey) -> None:
    session = open_session()
    heard: list[float] = []
    stream = session.stream([grey(1), grey(2)], policy="every")

    def listener(answer: Any) -> None:
        heard.append(float(session(answer.picture).arrays[0].ravel()[0]))
        if len(heard) == 2:
            stream.close()

    stream.follow(listener)
    assert stream.join(PATIENCE_S)
    assert heard == [1, 2]


def test_errors_without_a_listener_are_logged(
    open_session: Open, caplog: pytest.LogCaptureFixture
) -> None:
    stream = open_session().stream(iter(["no picture"]), policy="every")  # type: ignore[call-overload]  # that is the test
    stream.follow(print)
    assert stream.join(PATIENCE_S)
    (record,) = caplog.records
    assert record.getMessage().startswith("stream of pictures: picture: must be ")
