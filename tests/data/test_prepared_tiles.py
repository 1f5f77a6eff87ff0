"""Samples of any size for a network of one: cut, answered tile by tile, and joined."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.data import Prepared, Samples, check_clips, prepare_samples
from edgeprep.data.decoded import Decoded
from edgeprep.errors import DataError, ShapeError
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.tasks.restore import Restore
from edgeprep.tensors import ImageSpec

SIDE, WHERE = 16, "data.evaluation"
TASK = Restore(overlap=8, scale=2, range=(0.0, 255.0))

Array = NDArray[np.uint8]


def noise(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def prepare(*given: Array, task: Restore = TASK) -> Prepared:
    host = Chain(input=ImageSpec(height=SIDE, width=SIDE), stages=())
    samples = Samples(lambda: iter(given), where=WHERE, description="")
    return prepare_samples(samples, host, WHERE, frames=Frames(host), tiling=task.tiling)


def larger(tile: Array) -> tuple[NDArray[Any], ...]:
    """The network: every pixel twice, either way."""
    assert tile.shape == (1, SIDE, SIDE, 3)
    return (tile.transpose(0, 3, 1, 2).repeat(2, axis=2).repeat(2, axis=3).astype(np.float32),)


def twice(picture: Array) -> Array:
    return picture.repeat(2, axis=0).repeat(2, axis=1)


PICTURES = noise(40, 21, 3), noise(SIDE, SIDE, 3), noise(5, 70, 3)


def test_what_tiles_become_is_joined_to_whole_results() -> None:
    data = prepare(*PICTURES)
    assert len(data) == 3
    outputs = [data.answer(index, larger) for index in range(3)]
    results = Decoded(task=TASK, outputs=outputs, samples=data)
    for result, picture in zip(results, PICTURES, strict=True):
        np.testing.assert_array_equal(result.picture, twice(picture))


def test_outputs_of_another_scale_are_refused() -> None:
    grey = np.full((40, 21, 3), 77, np.uint8)
    # A network that makes tiles smaller must not pass for one that makes them larger.
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        prepare(grey).answer(0, lambda tile: (np.full((1, 3, 4, 4), 77.0),))
    assert str(caught.value) == (
        "output: must be [32, 32] pixels, task.scale times those of a tile, got [4, 4]"
    )


def test_a_network_takes_one_tile_after_the_other() -> None:
    data = prepare(*PICTURES)
    # 12 of 16 pixels count, and 8 more with every other tile: of 40, 5 tiles; of 21, 3; of 70, 9.
    assert data.feeds == len(data.inputs) == 5 * 3 + 1 + 9
    assert {data.feed(index).shape for index in range(data.feeds)} == {(1, SIDE, SIDE, 3)}
    np.testing.assert_array_equal(data.feed(15)[0], PICTURES[1])


def test_some_of_them_are_joined_as_they_were() -> None:
    some = prepare(*PICTURES).some([2, 1])
    for index, picture in enumerate((PICTURES[2], PICTURES[1])):
        (output,) = some.answer(index, larger)
        np.testing.assert_array_equal(output[0].transpose(1, 2, 0), twice(picture))


def test_single_pictures_are_no_clips() -> None:
    data = prepare(*PICTURES)
    assert not data.has_clips
    check_clips(data, 1, remembers=False, where=WHERE)


def test_clips_are_clips_all_the_same() -> None:
    data = prepare(noise(2, SIDE, SIDE, 3))
    assert data.has_clips
    with pytest.raises(DataError, match=r"must have single pictures, .*, got clips"):
        check_clips(data, 1, remembers=False, where=WHERE)


def test_other_sizes_are_refused_without_an_overlap() -> None:
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- the whole message is compared
        prepare(PICTURES[1], PICTURES[0], task=Restore())
    assert str(caught.value) == (
        "data.evaluation: sample 1: picture: must have shape (16, 16, 3), got (40, 21, 3)"
    )
