"""Clips as samples: checked, prepared frame by frame, and found again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.data import Prepared, Samples, check_clips, prepare_samples
from edgeprep.errors import DataError
from edgeprep.stages.chain import Chain
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.tasks.video_classify import VideoClassify
from edgeprep.tensors import ImageSpec

WHERE = "data.evaluation"
TASK = VideoClassify(labels=("a", "b"))


def clip(*levels: int) -> NDArray[np.uint8]:
    return np.stack([np.full((2, 3, 3), level, np.uint8) for level in levels])


def samples(*given: object, task: VideoClassify | None = None) -> Samples:
    return Samples(lambda: iter(given), where=WHERE, description="", task=task)


def prepared(*given: object, stages: tuple[object, ...] = ()) -> Prepared:
    host = Chain(input=ImageSpec(height=2, width=3), stages=stages)  # type: ignore[arg-type]
    return prepare_samples(samples(*given), host, WHERE)


def levels(data: Prepared, index: int) -> list[int]:
    found: list[int] = data.picture(index)[:, 0, 0, 0].tolist()
    return found


def test_clips_of_any_length_are_found_again() -> None:
    data = prepared(clip(1, 2, 3), clip(4), clip(5, 6))
    assert len(data) == 3
    assert data.inputs.shape == (6, 2, 3, 3)
    assert [levels(data, index) for index in range(3)] == [[1, 2, 3], [4], [5, 6]]


def test_some_clips_are_found_again() -> None:
    some = prepared(clip(1, 2, 3), clip(4), clip(5, 6)).some([2, 0])
    assert [levels(some, index) for index in range(2)] == [[5, 6], [1, 2, 3]]


def test_preprocessing_remembers_nothing_of_the_clip_before() -> None:
    data = prepared(clip(10, 30), clip(90, 80), stages=(FrameDifference(),))
    assert [levels(data, index) for index in range(2)] == [[0, 20], [0, 10]]


def test_clips_with_other_frames_are_other_clips() -> None:
    one, two, three = prepared(clip(1, 2), clip(2, 1), clip(1, 2)).digests
    assert one == three != two


def test_preprocessing_that_drops_frames_is_refused() -> None:
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        prepared(clip(1, 2, 3), stages=(Frames(every=2),))
    assert str(caught.value) == (
        "data.evaluation: sample 0: the preprocessing must keep every frame of a clip, got 2 of 3; "
        "let the reader leave frames out"
    )


def test_pictures_among_clips_are_refused() -> None:
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        prepared(clip(1, 2), clip(1)[0])
    assert str(caught.value) == (
        "data.evaluation: sample 1 must be a clip, as those before it, got a picture"
    )


def test_a_clip_has_a_label() -> None:
    given = samples((clip(1, 2), 0), (clip(3), 1), task=TASK)
    assert [label for _, label in given] == [0, 1]


@pytest.mark.parametrize("shape", [(0, 2, 3, 3), (2, 2, 3, 4), (1, 2, 2, 3, 3)])
def test_what_is_no_clip_is_refused(shape: tuple[int, ...]) -> None:
    frames = "frames, " if len(shape) == 4 else ""
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        list(samples(np.zeros(shape, np.uint8)))
    assert str(caught.value) == (
        f"data.evaluation: the picture of sample 0 must be a uint8 array ({frames}height, width, "
        f"3 or 1), got uint8 {shape}"
    )


@pytest.mark.parametrize(
    ("given", "frames", "remembers", "message"),
    [
        ((clip(1, 2),), 1, True, None),
        ((clip(1, 2),), 2, False, None),
        ((clip(1)[0],), 1, False, None),
        (
            (clip(1, 2),),
            1,
            False,
            (
                "must have single pictures, for a network that takes one, got clips; "
                "say input.frames, or model.state"
            ),
        ),
        (
            (clip(1)[0],),
            1,
            True,
            (
                "must have clips (frames, height, width, 3 or 1), for a network that remembers, "
                "got single pictures"
            ),
        ),
        (
            (clip(1)[0],),
            2,
            False,
            (
                "must have clips (frames, height, width, 3 or 1), for a network of 2 frames, "
                "got single pictures"
            ),
        ),
    ],
)
def test_clips_are_for_networks_that_take_them(
    given: tuple[object, ...], frames: int, remembers: bool, message: str | None
) -> None:
    data = prepared(*given)
    if message is None:
        check_clips(data, frames, remembers=remembers, where=WHERE)
        return
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        check_clips(data, frames, remembers=remembers, where=WHERE)
    assert str(caught.value) == f"data.evaluation: {message}"


def test_a_network_of_clips_takes_those_of_one_length() -> None:
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        check_clips(prepared(clip(1, 2), clip(1)), 2, remembers=False, where=WHERE)
    assert str(caught.value) == "data.evaluation: sample 1 must have 2 frames, got 1"
