"""Sessions on networks that remember, and on networks of clips."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.errors import ClosedError, InputError, NonFiniteOutput, ShapeError
from edgeprep.interfaces import Runner, Stage
from edgeprep.runtime import Session
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.stages.chain import Chain
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import ImageSpec, TensorSpec

FILM = [np.full((4, 4, 3), level, np.uint8) for level in (10, 30, 30, 25)]
SUM = TensorSpec(name="sum", shape=(1, 2), dtype="float32")
ANSWER = TensorSpec(name="output", shape=(1, 1), dtype="float32")


class Adding(Runner):
    """Adds up the levels that it has seen, in both numbers of its state, and answers with one."""

    inputs = (TensorSpec(name="image", shape=(1, 4, 4, 3), dtype="uint8"), SUM)
    outputs = (ANSWER, TensorSpec(name="next_sum", shape=(1, 2), dtype="float32"))

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        image, total = inputs
        assert (total.shape, total.dtype) == ((1, 2), np.float32)
        new = total + image.mean(dtype=np.float32)
        if image.max() == 255:
            new = new * np.float32("nan")
        return new[:, :1], new

    def close(self) -> None:
        pass


class OfClips(Adding):
    """Answers with the levels of its three frames, as one number in base 100."""

    inputs = (TensorSpec(name="image", shape=(3, 4, 4, 3), dtype="uint8"),)
    outputs = (ANSWER,)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        (clip,) = inputs
        levels = clip.mean((1, 2, 3), dtype=np.float32)
        return ((levels @ np.array([1e4, 1e2, 1], np.float32))[None, None],)


def opened(runner: Runner, *stages: Stage, frames: int = 1) -> Session:
    chain = Chain(input=ImageSpec(height=4, width=4, batch=frames), stages=stages)
    return NetworkSession(
        name="film",
        input=chain.input,
        chain=chain,
        host=Chain(input=chain.input.replace(batch=1), stages=stages),
        runner=runner,
        task=Tensors(),
        outcomes=(),
        remembered=False,
        states=runner.inputs[1:],
    )


@pytest.fixture
def adding(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = opened(Adding())
    # Messages name the candidate, of which there is none here.
    monkeypatch.setattr(Session, "choice", "fake", raising=False)
    return session


def values(results: Any) -> list[float | None]:
    return [None if one is None else float(one.arrays[0][0]) for one in results]


def test_each_picture_is_added_to_those_before_it(adding: Session) -> None:
    assert values(adding.stream(FILM)) == [10, 40, 70, 95]


def test_new_states_are_no_part_of_a_result(adding: Session) -> None:
    assert len(next(adding.stream(FILM)).arrays) == 1


def test_streams_at_once_remember_their_own(adding: Session) -> None:
    pairs = zip(adding.stream(FILM), adding.stream(FILM[::-1]), strict=True)
    assert [values(pair) for pair in pairs] == [[10, 25], [40, 55], [70, 85], [95, 95]]


def test_a_stream_forgets_when_it_is_told_to(adding: Session) -> None:
    stream = adding.stream(FILM)
    assert values([next(stream), next(stream)]) == [10, 40]
    stream.reset()
    assert values(stream) == [30, 55]


def test_a_stream_that_is_closed_asks_for_no_more(adding: Session) -> None:
    stream = adding.stream(FILM)
    next(stream)
    stream.close()
    assert list(stream) == []


def test_preprocessing_forgets_with_the_network() -> None:
    stream = opened(Adding(), FrameDifference()).stream(FILM)
    assert values([next(stream), next(stream)]) == [0, 20]
    stream.reset()
    assert values(stream) == [0, 5]


def test_what_is_dropped_is_not_remembered() -> None:
    assert values(opened(Adding(), Frames(every=3)).stream(FILM)) == [10, None, None, 35]


def test_a_picture_that_breaks_the_network_leaves_the_states_as_they_were(adding: Session) -> None:
    white = np.full((4, 4, 3), 255, np.uint8)
    stream = adding.stream([FILM[0], white, FILM[1]])
    next(stream)
    with pytest.raises(NonFiniteOutput, match=r"^session 'film': pictures\[1\]: output 'output'"):
        next(stream)
    assert values(stream) == [40]


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session(FILM[0]),
        lambda session: session.outputs(FILM[0]),
        lambda session: session.batch(FILM),
    ],
    ids=["call", "outputs", "batch"],
)
def test_one_picture_alone_is_refused(call: Callable[[Session], Any], adding: Session) -> None:
    with pytest.raises(InputError) as caught:  # noqa: PT011 -- whole message
        call(adding)
    assert str(caught.value) == (
        "session 'film': pictures must come in a stream, as the network remembers earlier ones, "
        "got one without them; use session.stream(pictures), or session(clip) for a whole film"
    )


def test_a_whole_film_is_answered_as_it_ends(adding: Session) -> None:
    film = np.stack(FILM)
    assert values([adding(film)]) == [95]
    # From its beginning each time.
    assert values(adding.batch([film[:2], film])) == [40, 95]
    with pytest.raises(
        ShapeError, match=r"^clip: must have at least one frame, got \(0, 4, 4, 3\)$"
    ):
        adding(film[:0])
    with pytest.raises(
        ShapeError, match=r"^pictures\[1\]\[0\]: must have shape \(4, 4, 3\), got \(5, 4, 3\)$"
    ):
        adding.batch([film, np.zeros((2, 5, 4, 3), np.uint8)])


def test_clips_are_no_array_of_pictures() -> None:
    with opened(OfClips(), frames=3) as session:
        with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- whole message
            session.batch(np.zeros((2, 3, 4, 4, 3), np.uint8))
        assert str(caught.value) == (
            "pictures: must have shape (N, H, W, C), got (2, 3, 4, 4, 3); clips come in a list"
        )


def test_a_stream_ends_with_its_session(adding: Session) -> None:
    stream = adding.stream(FILM)
    next(stream)
    adding.close()
    with pytest.raises(ClosedError, match="got a call after close"):
        next(stream)


def test_a_clip_goes_to_the_network_at_once() -> None:
    session = opened(OfClips(), frames=3)
    assert values([session(np.stack(FILM[:3]))]) == [103030]
    assert values(session.batch([np.stack(FILM[:3]), np.stack(FILM[1:])])) == [103030, 303025]


def test_a_window_slides_over_a_camera() -> None:
    session = opened(OfClips(), frames=3)
    assert values(session.stream(FILM)) == [None, None, 103030, 303025]


def test_a_window_remembers_what_a_camera_writes_over() -> None:
    buffer = np.empty_like(FILM[0])

    def camera() -> Iterator[NDArray[np.uint8]]:
        for picture in FILM:
            buffer[:] = picture
            yield buffer

    assert values(opened(OfClips(), frames=3).stream(camera())) == [None, None, 103030, 303025]


def test_a_window_slides_in_steps() -> None:
    film = [np.full((4, 4, 3), level, np.uint8) for level in range(10, 18)]
    session = opened(OfClips(), frames=3)
    found = values(session.stream(film, every=2))
    assert found == [None, None, 101112, None, 121314, None, 141516, None]


def test_a_window_begins_anew_when_it_is_told_to() -> None:
    stream = opened(OfClips(), frames=3).stream(FILM)
    next(stream)
    stream.reset()
    assert values(stream) == [None, None, 303025]


def test_preprocessing_remembers_inside_a_clip() -> None:
    session = opened(OfClips(), FrameDifference(), frames=3)
    assert values([session(np.stack(FILM[:3])), session(np.stack(FILM[1:]))]) == [2000, 5]


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.stack(FILM), "clip: must have shape (3, H, W, C), got (4, 4, 4, 3)"),
        (
            FILM[0],
            (
                "clip: must have shape (3, H, W, C), got (4, 4, 3); frames of a camera go to "
                "session.stream()"
            ),
        ),
        (FILM[:3], "clip: must be a numpy array (frames, H, W, C), got 'list'"),
        (
            np.zeros((3, 5, 4, 3), np.uint8),
            "clip[0]: must have shape (4, 4, 3), got (5, 4, 3)",
        ),
    ],
    ids=["long", "picture", "list", "size"],
)
def test_what_is_no_such_clip_is_refused(clip: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:  # noqa: PT011 -- whole message
        opened(OfClips(), frames=3)(clip)
    assert str(caught.value) == message


def test_a_clip_whose_frames_are_dropped_is_refused() -> None:
    with pytest.raises(InputError) as caught:  # noqa: PT011 -- whole message
        opened(OfClips(), Frames(every=2), frames=3)(np.stack(FILM[:3]))
    assert str(caught.value) == (
        "session 'film': the preprocessing must keep every frame of a clip, got 2 of 3; "
        "use session.stream"
    )


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_a_window_moves_on(every: Any) -> None:
    with pytest.raises(InputError) as caught:  # noqa: PT011 -- whole message
        opened(OfClips(), frames=3).stream(FILM, every=every)
    assert str(caught.value) == f"every: must be a whole number from 1, got {every!r}"


def test_a_network_of_single_pictures_has_no_window(adding: Session) -> None:
    with pytest.raises(InputError) as caught:  # noqa: PT011 -- whole message
        adding.stream(FILM, every=2)
    assert str(caught.value) == (
        "every: must be 1 where the network takes one picture at a time, got 2; "
        "the stage 'frames' drops pictures"
    )


def test_pictures_of_a_stream_are_several() -> None:
    with pytest.raises(ShapeError, match=r"^pictures: must have shape \(N, H, W, C\)"):
        opened(OfClips(), frames=3).stream(FILM[0])
