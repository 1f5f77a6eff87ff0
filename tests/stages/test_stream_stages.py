"""Stages that remember: against OpenCV's running means and counted frames."""

import cv2
import numpy as np
import pytest

from edgeprep.errors import DTypeError, InputError, RecipeError, ShapeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.stages.resize import Resize
from edgeprep.stages.running_background import RunningBackground
from edgeprep.stages.stream import Stream
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

STAGES = (
    Frames(every=2),
    Frames(rate=10.0),
    FrameDifference(),
    FrameDifference(mode="signed"),
    RunningBackground(),
    RunningBackground(give="mask"),
    RunningBackground(give="background"),
)


def stream_of(*stages):
    return Stream(Chain(input=ImageSpec(), stages=stages))


@pytest.fixture
def film():
    """Ten pictures of noise, `(10, 13, 17, 3)`."""
    return np.random.default_rng(3).integers(0, 256, (10, 13, 17, 3), dtype=np.uint8)


def taken(stage, times):
    stream = stream_of(stage)
    picture = np.zeros((2, 2, 3), np.uint8)
    return [i for i, time_s in enumerate(times) if stream.prepare(picture, time_s) is not None]


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_a_single_picture_is_the_first_of_its_stream(stage):
    check_stage(stage)


def test_every_third_picture():
    assert taken(Frames(every=3), np.arange(10)) == [0, 3, 6, 9]
    assert taken(Frames(every=1), np.arange(4)) == [0, 1, 2, 3]


def test_a_rate_is_kept_on_the_long_run():
    times = np.arange(250) / 25
    assert len(taken(Frames(rate=10.0), times)) == 100
    assert taken(Frames(rate=100.0), times) == list(range(250))
    assert taken(Frames(rate=5.0), 1e6 + times)[:4] == [0, 5, 10, 15]


def test_pictures_that_come_late_are_not_caught_up_on():
    assert taken(Frames(rate=1.0), [0.0, 0.5, 7.5, 7.6, 8.0, 8.5, 9.0]) == [0, 2, 4, 6]


@pytest.mark.parametrize("start", [0.0, 12.34, 1.7e9], ids=["zero", "a while", "since 1970"])
@pytest.mark.parametrize("rate", [5, 10, 12, 15, 24, 25, 30, 50, 60])
@pytest.mark.parametrize("every", [1, 2, 3, 6])
def test_a_rate_that_divides_the_camera_s_takes_every_nth_picture(rate, every, start):
    times = [start + index / (rate * every) for index in range(900)]
    assert taken(Frames(rate=float(rate)), times) == list(range(0, 900, every))


@pytest.mark.parametrize(("rate", "fps"), [(10, 25), (7, 30), (24, 60), (29, 30), (3, 10)])
def test_the_first_picture_that_is_due_is_taken(rate, fps):
    # In whole numbers: picture i is at i / fps, and n is due at n / rate.
    expected = [-(-number * fps // rate) for number in range(1000)]
    times = [index / fps for index in range(expected[-1] + 1)]
    assert taken(Frames(rate=float(rate)), times) == expected


def test_a_clock_that_jumps_ahead_takes_no_more_than_the_rate():
    times = [0.0, 0.5, 1.0, 3600.25, 3600.5, 3601.0, 3601.5, 3602.0]
    assert taken(Frames(rate=1.0), times) == [0, 2, 3, 5, 7]


def test_a_clock_that_is_set_back_begins_anew():
    times = [100.0, 100.5, 101.0, 7.25, 7.5, 8.0, 8.25, 9.25]
    assert taken(Frames(rate=1.0), times) == [0, 2, 3, 6, 7]


def test_a_clock_that_is_set_back_a_little_stops_nothing_for_long():
    times = [0.0, 1.0, 2.0, 1.5, 1.75, 2.5, 3.0, 4.0]
    assert taken(Frames(rate=1.0), times) == [0, 1, 2, 3, 5, 7]


@pytest.mark.parametrize("rate", [1e-320, 1e308])
def test_rates_beyond_all_measure_take_one_picture_or_all(rate):
    times = [0.0, 1.0, 100.0]
    assert taken(Frames(rate=rate), times) == ([0] if rate < 1 else [0, 1, 2])


def test_the_difference_is_that_of_opencv(film):
    stream = stream_of(FrameDifference())
    results = [stream.prepare(picture, 0.0)[0] for picture in film]
    assert not results[0].any()
    for before, picture, result in zip(film[:-1], film[1:], results[1:], strict=True):
        assert np.array_equal(result, cv2.absdiff(picture, before))


def test_a_signed_difference_is_grey_where_nothing_moves(film):
    stream = stream_of(FrameDifference(mode="signed"))
    first, second = (stream.prepare(picture, 0.0)[0] for picture in film[:2])
    assert (first == 128).all()
    change = (film[1].astype(float) - film[0]) / 2 + 128
    assert np.array_equal(second, np.clip(np.floor(change + 0.5), 0, 255))


def test_the_background_is_the_running_mean_of_opencv(film):
    stream = stream_of(RunningBackground(rate=0.2, give="background"))
    mean = film[0].astype(np.float32)
    for picture in film:
        cv2.accumulateWeighted(picture.astype(np.float32), mean, 0.2)
        result = stream.prepare(picture, 0.0)[0]
        assert np.abs(result - mean).max() <= 0.5 + 1e-3  # half a level: it leaves as uint8


def test_what_stands_before_the_background_is_seen(film):
    still = film[0]
    moved = still.copy()
    moved[3:5, 4:9] = 255 - moved[3:5, 4:9]
    stream = stream_of(RunningBackground(give="mask", threshold=20.0))
    for _ in range(5):
        assert not stream.prepare(still, 0.0).any()
    mask = stream.prepare(moved, 0.0)[0]
    assert np.array_equal(mask == 255, np.abs(moved.astype(int) - still) > 20)


def test_the_difference_is_measured_before_the_background_learns(film):
    stream = stream_of(RunningBackground(rate=1.0))
    stream.prepare(film[0], 0.0)
    assert np.array_equal(stream.prepare(film[1], 0.0)[0], cv2.absdiff(film[1], film[0]))


def test_streams_have_memories_of_their_own(film):
    one, other = stream_of(FrameDifference()), stream_of(FrameDifference())
    one.prepare(film[0], 0.0)
    assert not other.prepare(film[1], 0.0).any()
    assert one.prepare(film[1], 0.0).any()


def test_a_stream_does_what_the_chain_does_where_nothing_is_remembered(film):
    chain = Chain(input=ImageSpec(), stages=(Resize(size=(7, 5)),))
    assert np.array_equal(Stream(chain).prepare(film[0], 0.0), chain.prepare(film[0]))


def test_what_is_dropped_changes_no_later_memory(film):
    stream = stream_of(Frames(every=2), FrameDifference())
    results = [stream.prepare(picture, 0.0) for picture in film[:3]]
    assert results[1] is None
    assert np.array_equal(results[2][0], cv2.absdiff(film[2], film[0]))


def test_a_size_that_changes_needs_a_new_stream(film):
    stream = stream_of(FrameDifference())
    stream.prepare(film[0], 0.0)
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        stream.prepare(film[0][1:], 0.0)
    assert str(caught.value) == (
        "picture: must have the size of those before it, (13, 17, 3), got (12, 17, 3); "
        "begin a new stream"
    )


def test_a_stream_takes_pixels(film):
    with pytest.raises(DTypeError, match=r"^picture: must have dtype uint8, .*got 'float64'"):
        stream_of(FrameDifference()).prepare(film[0] / 1.0, 0.0)


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ({"use": "frames"}, "preprocess[0]: needs either every or rate, got neither"),
        (
            {"use": "frames", "every": 2, "rate": 5.0},
            "preprocess[0]: needs either every or rate, got both",
        ),
        ({"use": "frames", "every": 0}, "preprocess[0].every: must be at least 1, got 0"),
        ({"use": "frames", "rate": 0.0}, "preprocess[0].rate: must be above 0, got 0.0"),
        (
            {"use": "running-background", "rate": 1.5},
            "preprocess[0].rate: must be above 0 and at most 1, got 1.5",
        ),
        (
            {"use": "running-background", "threshold": 256},
            "preprocess[0].threshold: must be at least 0 and at most 255, got 256",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(table, rule):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        Chain.build([table], input=ImageSpec(), registry=Registry(installed=False))
    assert str(caught.value) == rule


@pytest.mark.parametrize("color", ["hsv", "rgba", "bgra"])
@pytest.mark.parametrize("stage", [FrameDifference(), RunningBackground()], ids=repr)
def test_hue_and_alpha_are_no_numbers_to_subtract(stage, color):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        Chain(input=ImageSpec(color=color), stages=(stage,))
    assert str(caught.value) == (
        f"preprocess[0]: {stage.name} needs rgb or bgr or grey or ycrcb or lab pictures, "
        f"got {color!r}; put color with to = 'rgb' before this stage"
    )


@pytest.mark.parametrize("stage", [FrameDifference(), RunningBackground()], ids=repr)
def test_planes_are_no_pixels_to_subtract(stage):
    with pytest.raises(RecipeError, match=r"needs pixels, got planes, 'nv12'; put color with to"):
        Chain(input=ImageSpec(color="nv12"), stages=(stage,))


def test_no_graph_remembers():
    chain = Chain(input=ImageSpec(height=9, width=9), stages=(FrameDifference(),))
    with pytest.raises(RecipeError, match=r"frame-difference must run on the host, got placement"):
        chain.cut("graph")


def test_a_rate_needs_times():
    with pytest.raises(InputError) as caught:  # noqa: PT011 -- the whole message is compared
        stream_of(Frames(rate=5.0)).prepare(np.zeros((2, 2, 3), np.uint8))
    assert str(caught.value) == (
        "frames: must know when pictures were taken to take so many a second, got no time; "
        "say how many come in a second, as fps of the stream or data.fps of the recipe, or use "
        "every"
    )
