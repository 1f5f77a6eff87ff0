"""Sessions over the pictures of a camera, where preprocessing looks at earlier ones."""

import asyncio
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import ClosedError, InputError
from edgeprep.interfaces import Stage
from edgeprep.runtime import Session
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.stages.chain import Chain
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import ImageSpec

FILM = [np.full((4, 4, 3), level, np.uint8) for level in (10, 30, 30, 25)]


def open_session(fakes: SimpleNamespace, *stages: Stage) -> Session:
    backend = fakes.Right()
    runner = backend.load(SimpleNamespace(files={"model.fake": b"means"}), None, {})
    chain = Chain(input=ImageSpec(height=4, width=4), stages=stages)
    return NetworkSession(
        name="means",
        input=chain.input,
        chain=chain,
        host=chain,
        runner=runner,
        task=Tensors(),
        outcomes=(),
        remembered=False,
    )


def means(results: Iterator[Any]) -> list[float | None]:
    return [None if r is None else float(first(r)[0]) for r in results]


def first(result: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = result.arrays[0]
    return array


def test_each_picture_is_compared_with_the_one_before_it(fakes: SimpleNamespace) -> None:
    with open_session(fakes, FrameDifference()) as session:
        assert means(session.stream(FILM)) == [0, 20, 0, 5]


def test_a_stream_is_closed_at_the_end_of_a_block(fakes: SimpleNamespace) -> None:
    with open_session(fakes, FrameDifference()) as session:
        with session.stream(FILM) as stream:
            assert means(iter([next(stream), next(stream)])) == [0, 20]
        assert list(stream) == []


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (("a", 1), "height: must be a whole number of pixels from 1, got 'a'"),
        ((None, None), "height: must be a whole number of pixels from 1, got None"),
        ((0, 5), "height: must be a whole number of pixels from 1, got 0"),
        ((1.5, 2), "height: must be a whole number of pixels from 1, got 1.5"),
        ((4, -1), "width: must be a whole number of pixels from 1, got -1"),
        ((4, True), "width: must be a whole number of pixels from 1, got True"),
    ],
)
def test_a_size_that_is_none_leads_nowhere_back(
    fakes: SimpleNamespace, size: tuple[Any, Any], message: str
) -> None:
    with open_session(fakes) as session:
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            session.backward(*size)
        assert len(session.backward(np.int64(4), np.int64(4))) == 1  # type: ignore[arg-type]  # as shapes of arrays may be


def test_pictures_that_are_dropped_have_no_result(fakes: SimpleNamespace) -> None:
    with open_session(fakes, Frames(every=3)) as session:
        assert means(session.stream(FILM)) == [10, None, None, 25]


def test_a_rate_needs_to_know_how_many_pictures_come(fakes: SimpleNamespace) -> None:
    with open_session(fakes, Frames(rate=5.0)) as session:
        assert means(session.stream(FILM, fps=10.0)) == [10, None, 30, None]
        with pytest.raises(InputError, match=r"^frames: must know when pictures were taken"):
            next(session.stream(FILM))


def test_streams_at_once_remember_their_own(fakes: SimpleNamespace) -> None:
    with open_session(fakes, FrameDifference()) as session:
        pairs = zip(session.stream(FILM), session.stream(FILM[::-1]), strict=True)
        assert [(first(a)[0], first(b)[0]) for a, b in pairs] == [(0, 0), (20, 5), (0, 0), (5, 20)]


def test_a_stream_of_pictures_that_stand_alone(fakes: SimpleNamespace) -> None:
    with open_session(fakes) as session:
        assert means(session.stream(FILM)) == [10, 30, 30, 25]


def test_results_come_as_pictures_do(fakes: SimpleNamespace) -> None:
    with open_session(fakes) as session:
        results = session.stream(iter(FILM))
        assert first(next(results))[0] == 10
        session.close()
        with pytest.raises(ClosedError, match="got a call after close"):
            next(results)


def test_one_picture_alone_is_refused_where_earlier_ones_are_looked_at(
    fakes: SimpleNamespace,
) -> None:
    with open_session(fakes, FrameDifference()) as session:
        for call in (session, session.outputs, lambda picture: session.batch([picture])):
            with pytest.raises(InputError) as caught:  # noqa: PT011 -- whole message
                call(FILM[0])
            assert str(caught.value) == (
                "session 'means': pictures must come in a stream, as the preprocessing looks at "
                "earlier ones, got one without them; use session.stream(pictures), or "
                "session(clip) for a whole film"
            )


def test_pictures_that_come_as_they_like_are_taken_by_their_own_times(
    fakes: SimpleNamespace,
) -> None:
    times = iter([0.0, 0.5, 0.6, 3.0])
    with open_session(fakes, Frames(rate=2.0)) as session:
        taken = means(session.stream(FILM, clock=lambda: next(times)))
        assert taken == [10, 30, None, 25]
        rule = r"^fps: must be absent where a clock is given, got 5\.0$"
        with pytest.raises(InputError, match=rule):
            session.stream(FILM, fps=5.0, clock=lambda: 0.0)


@pytest.mark.parametrize(
    "told",
    [None, "x", "3", float("nan"), float("inf"), -float("inf"), 10**400, 1j],
    ids=lambda told: repr(told)[:5],
)
def test_a_clock_gives_finite_seconds(fakes: SimpleNamespace, told: Any) -> None:
    times = iter([0.0, told, np.float32(0.6), 3])
    with open_session(fakes, Frames(rate=2.0)) as session:
        stream = session.stream(FILM, clock=lambda: next(times))
        assert means(iter([next(stream)])) == [10]
        with pytest.raises(InputError) as refused:  # noqa: PT011 -- of all of it below
            next(stream)
        assert str(refused.value) == (f"pictures[1]: clock must give finite seconds, got {told!r}")
        # The next ones are answered all the same.
        assert means(stream) == [30, 25]


def test_an_event_loop_is_told_how_to_wait_for_pictures(fakes: SimpleNamespace) -> None:
    async def wait(session: Session) -> None:
        async for _ in session.stream(FILM):
            pass

    message = (
        r"^stream of pictures: must be iterated over with 'for', or have a policy, "
        r"got 'async for'; pass policy=\"every\"$"
    )
    with open_session(fakes) as session, pytest.raises(InputError, match=message):
        asyncio.run(wait(session))


@pytest.mark.parametrize(
    "source",
    [FILM, 0, "http://127.0.0.1:1/x", "film.mp4"],
    ids=["pictures", "a camera", "an address", "a film"],
)
def test_a_closed_session_begins_nothing(fakes: SimpleNamespace, source: Any) -> None:
    session = open_session(fakes)
    session.close()
    message = r"^session 'means': must be open, got a call after close\(\)$"
    with pytest.raises(ClosedError, match=message):
        session.stream(source)
    with pytest.raises(ClosedError, match=message):
        session.batch([])


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), float("inf"), True])
def test_a_camera_gives_some_pictures_a_second(fakes: SimpleNamespace, fps: float) -> None:
    with open_session(fakes) as session, pytest.raises(InputError) as caught:  # noqa: PT011
        session.stream(FILM, fps=fps)
    assert str(caught.value) == f"fps: must be above 0 and finite, got {fps!r}"
