"""Outputs on the disk: the same arrays, and one sample in memory at a time."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprep.data.outputs_on_disk import outputs_on_disk
from edgeprep.errors import StorageError


def test_they_are_the_same_arrays() -> None:
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(1, 3, 5, 7)).astype(np.float32)
    samples = [
        (maps, generator.integers(0, 9, (1, 3))),
        (maps[:, ::2, ::-1], np.array([True])),
        (
            np.float16(2.5).reshape(()),
            np.empty((1, 0, 4), np.float32),
            np.arange(3, dtype=np.uint8),
        ),
        (),
        (np.asfortranarray(maps[0, 0]), np.array([1 + 2j])),
    ]
    kept = outputs_on_disk(samples)
    assert [len(each) for each in kept] == [len(each) for each in samples]
    for ours, theirs in zip(kept, samples, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)
            assert one.flags.aligned


def test_none_and_those_that_hold_nothing_are_kept() -> None:
    assert outputs_on_disk([]) == []
    assert outputs_on_disk([(), ()]) == [(), ()]


def test_one_sample_is_in_memory_at_a_time() -> None:
    before: list[Any] = []
    alive: list[int] = []

    def samples() -> Iterator[tuple[np.ndarray, ...]]:
        for _ in range(4):
            array = np.zeros(1000)
            alive.append(sum(one() is not None for one in before))
            before.append(weakref.ref(array))
            yield (array,)
            del array

    outputs_on_disk(samples())
    assert max(alive) <= 1


def test_outputs_that_find_no_room_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = str(Path("no", "such", "place"))
    monkeypatch.setattr("tempfile.tempdir", missing)
    with pytest.raises(StorageError, match=r"^temporary files") as caught:
        outputs_on_disk([(np.zeros(3),)])
    assert str(caught.value) == (
        f"temporary files: must be written in {missing!r}, got 'No such file or directory'; "
        "set TMPDIR to a directory that has room for them"
    )
