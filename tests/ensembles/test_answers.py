"""Samples of every kind, and what sessions answer to them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.combine import Terms
from edgeprep.combine.average import Average
from edgeprep.data import Samples
from edgeprep.ensembles.answers import Results, answer_all
from edgeprep.errors import DataError
from edgeprep.interfaces import Runner, Stage
from edgeprep.runtime import Session
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.ensemble_session import EnsembleSession
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.stages.chain import Chain
from edgeprep.stages.frames import Frames
from edgeprep.tasks.depth import Depth, DepthMap
from edgeprep.tensors import ImageSpec, TensorSpec

LEVELS = TensorSpec(name="levels", shape=(1, 1, 4, 4), dtype="float32")
TOTAL = TensorSpec(name="total", shape=(1, 1), dtype="float32")


class Mean(Runner):
    """Answers with the mean of all that it is given, everywhere."""

    inputs: tuple[TensorSpec, ...] = (TensorSpec(name="i", shape=(1, 4, 4, 3), dtype="uint8"),)
    outputs: tuple[TensorSpec, ...] = (LEVELS,)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        return (np.full(LEVELS.shape, inputs[0].mean(), np.float32),)

    def close(self) -> None:
        pass


class Adding(Mean):
    """Remembers the sum of the means so far, and answers with it."""

    inputs = (*Mean.inputs, TOTAL)
    outputs = (LEVELS, TOTAL)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        total = inputs[1] + inputs[0].mean(dtype=np.float32)
        return np.full(LEVELS.shape, total[0, 0], np.float32), total


def open_session(runner: Runner, *stages: Stage, frames: int = 1) -> NetworkSession:
    image = ImageSpec(height=4, width=4, batch=frames)
    chosen = Outcome(candidate=Candidate(variant="v", backend="b"), verdict="chosen", reason="")
    return NetworkSession(
        name="levels",
        input=image,
        chain=Chain(input=image, stages=stages),
        host=Chain(input=image.replace(batch=1), stages=stages),
        runner=runner,
        task=Depth(),
        outcomes=(chosen,),
        remembered=False,
        states=runner.inputs[1:],
    )


def whole(*members: NetworkSession) -> EnsembleSession:
    return EnsembleSession(
        name="mean",
        input=members[0].input,
        task=Depth(),
        members=members,
        combiner=Average(),
        terms=Terms(kind="values", weights=np.array([1.0, 3.0])),
    )


def level(value: int) -> NDArray[np.uint8]:
    return np.full((4, 4, 3), value, np.uint8)


def answers(given: Iterable[NDArray[np.uint8]], *sessions: Session) -> list[list[float]]:
    """The level that each session found in each of `given`."""
    pictures = list(given)
    samples = Samples(lambda: pictures, where="data.training", description="levels")
    blending = Depth().blending
    found = answer_all(sessions, [blending] * len(sessions), samples, "data.training")
    assert len(found.truths) == len(found.digests) == len(found.times_ms[0])
    results = [Results(blending=blending, arrays=arrays) for arrays in found.arrays]
    return [[float(result.values[0, 0]) for result in each] for each in results]


def test_every_session_answers_to_every_picture() -> None:
    found = answers([level(10), level(20)], open_session(Mean()), open_session(Mean()))
    assert found == [[10, 20], [10, 20]]


def test_of_a_clip_its_last_frame_counts_and_the_next_one_begins_anew() -> None:
    clips = [np.stack([level(1), level(2)]), np.stack([level(5), level(6), level(7)])]
    assert answers(clips, open_session(Adding())) == [[3, 18]]


def test_networks_of_clips_are_given_them_whole() -> None:
    clips = [np.stack([level(1), level(3)]), np.stack([level(5), level(7)])]
    assert answers(clips, open_session(Mean(), frames=2)) == [[2, 6]]


def test_pictures_for_stages_over_time_are_the_frames_of_one_film() -> None:
    pictures = [level(value) for value in (10, 20, 30, 40, 50)]
    every_second = open_session(Mean(), Frames(every=2))
    assert answers(pictures, every_second) == [[10, 30, 50]]


def test_a_picture_that_one_session_drops_is_a_sample_for_none() -> None:
    pictures = [level(value) for value in (10, 20, 30)]
    found = answers(pictures, open_session(Mean()), open_session(Mean(), Frames(every=2)))
    assert found == [[10, 30], [10, 30]]


def test_how_many_were_dropped_is_told() -> None:
    pictures = [level(value) for value in (10, 20, 30)]
    samples = Samples(lambda: pictures, where="data.training", description="levels")
    session = open_session(Mean(), Frames(every=2))
    found = answer_all([session], [Depth().blending], samples, "data.training")
    assert found.describe() == "2 samples, 1 dropped by a stage over time"


def test_data_of_which_nothing_is_left_are_refused() -> None:
    message = (
        "data.training: must have a sample that every member answers to, got 1 that a stage over "
        "time drops"
    )
    # A film of which the first picture has been seen: the next one is dropped.
    samples = Samples(lambda: [level(10)], where="data.training", description="levels")
    session = open_session(Mean(), Frames(every=2))
    film = session.stream([level(0), level(1)])
    next(film)
    session.stream = lambda *given, **named: film  # type: ignore[method-assign]
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        answer_all([session], [Depth().blending], samples, "data.training")


def test_a_clip_of_which_a_stage_drops_a_frame_is_refused() -> None:
    clip = np.stack([level(1), level(2), level(3)])
    message = (
        "data.training: sample 0: the preprocessing must keep every frame of a clip, got 2 of 3"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        answers([clip], open_session(Mean(), Frames(every=2)))


def test_results_are_worked_out_while_time_is_taken() -> None:
    def take(result: Any) -> tuple[NDArray[Any], ...]:
        sleep(0.02)
        return (result.values,)

    samples = Samples(lambda: [level(1)], where="data.training", description="levels")
    slow = replace(Depth().blending, take=take)
    found = answer_all([open_session(Mean())], [slow], samples, "data.training")
    assert found.times_ms[0][0] >= 20


def test_relative_maps_are_joined_on_one_scale() -> None:
    members = [open_session(Mean()) for _ in range(2)]
    both = EnsembleSession(
        name="relative",
        input=members[0].input,
        task=Depth(align="scale-and-shift"),
        members=members,
        combiner=Average(),
        terms=Terms(kind="values", weights=np.array([1.0, 1.0])),
    )
    depth, ramp = Depth(align="scale-and-shift"), np.arange(16, dtype=np.float32).reshape(4, 4)
    joined = both.join([DepthMap.of(depth, ramp.copy()), DepthMap.of(depth, 500 - 100 * ramp)])
    np.testing.assert_allclose(joined.values, ramp, atol=1e-4)


def test_clips_are_joined_whole() -> None:
    clips = [np.stack([level(1), level(3)]), np.stack([level(5), level(7)])]
    both = whole(open_session(Mean(), frames=2), open_session(Mean(), frames=2))
    assert answers(clips, both) == [[2, 6]]


def test_networks_that_remember_are_joined_in_streams() -> None:
    # The one says the last level, the other the sum of all: a quarter of it, and three quarters.
    both = whole(open_session(Mean()), open_session(Adding()))
    assert both.streams_only
    clips = [np.stack([level(4), level(8)]), np.stack([level(12), level(16), level(20)])]
    found = answers(clips, both)
    assert found == [[0.25 * 8 + 0.75 * 12, 0.25 * 20 + 0.75 * 48]]
    stream = both.stream([level(4), level(8), level(4)])
    assert [float(result.values[0, 0]) for result in stream] == [4, 11, 13]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (
            np.zeros((2, 4, 4, 3), np.uint8),
            "data.training: sample 0: must be a single picture, for networks that take one, got a",
        ),
        (
            np.zeros((5, 4, 3), np.uint8),
            "data.training: sample 0: picture: must have shape (4, 4, 3), got (5, 4, 3)",
        ),
    ],
    ids=["clip", "size"],
)
def test_what_a_session_cannot_take_is_a_fault_of_the_data(
    picture: NDArray[np.uint8], message: str
) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        answers([picture], open_session(Mean()))


def test_single_pictures_are_no_clips() -> None:
    with pytest.raises(DataError, match=r"^data.training: sample 0: clip: must have shape \(2, H"):
        answers([level(1)], open_session(Mean(), frames=2))
