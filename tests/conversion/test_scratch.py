"""Temporary files: what lies in them, what memory they save, and what is said when they fail."""

import errno
import resource
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.conversion.scratch import rows_on_disk
from edgeprep.data import Samples, prepare_samples
from edgeprep.errors import DataError, StorageError
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.frame_difference import FrameDifference
from edgeprep.stages.frames import Frames
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

Project = Callable[..., Path]


def pictures(count: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    rng = np.random.default_rng(5)
    for index in range(count):
        yield rng.integers(0, 256, (50 + index % 3, 60, 3), dtype=np.uint8), index


def samples(count: int) -> Samples:
    return Samples(lambda: pictures(count), where="data.evaluation", description="noise")


HOST = Chain(input=ImageSpec(), stages=(Resize(size=(48, 40)),))


def test_prepared_pictures_are_those_of_the_chain_in_their_order() -> None:
    prepared = prepare_samples(samples(7), HOST, "data.evaluation")
    assert prepared.labels == (0, 1, 2, 3, 4, 5, 6)
    for index, (picture, _) in enumerate(pictures(7)):
        np.testing.assert_array_equal(prepared.picture(index), HOST.prepare(picture))


def test_prepared_pictures_are_plain_writable_arrays() -> None:
    picture = prepare_samples(samples(2), HOST, "data.evaluation").picture(1)
    assert type(picture) is np.ndarray
    assert (picture.flags.writeable, picture.flags.c_contiguous) == (True, True)
    picture[0, 0, 0, 0] ^= 255


def test_preparing_many_pictures_takes_the_memory_of_a_few() -> None:
    prepare_samples(samples(2), HOST, "data.evaluation")  # what is computed once and kept
    tracemalloc.start()
    try:
        prepared = prepare_samples(samples(200), HOST, "data.evaluation")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One picture as float32, between the two axes of the resize, is 6 as uint8.
    assert peak < 20 * prepared.picture(0).nbytes


def test_prepared_pictures_leave_no_name_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    prepared = prepare_samples(samples(3), HOST, "data.evaluation")
    assert list(scratch.iterdir()) == []
    assert len(prepared.inputs) == 3


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may become larger than 20 000 bytes, as on a disk that has no room for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_said_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StorageError, match="temporary files") as fault:
        prepare_samples(samples(20), HOST, "data.evaluation")
    assert str(fault.value) == (
        f"temporary files: must be written in {str(tmp_path)!r}, got 'File too large'; "
        "set TMPDIR to a directory that has room for them"
    )


@pytest.mark.usefixtures("full_disk")
def test_a_part_that_does_not_fit_is_never_cut() -> None:
    with pytest.raises(StorageError, match="'File too large'"):
        rows_on_disk([np.zeros((1, 30_000), np.uint8)])


def test_what_the_data_raise_is_theirs() -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield np.zeros((1, 4), np.uint8)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error") as fault:
        rows_on_disk(broken())
    assert type(fault.value) is OSError
    with pytest.raises(DataError, match="must have at least one picture"):
        prepare_samples(samples(0), HOST, "data.evaluation")


def test_a_missing_temporary_directory_is_named_and_not_the_output(
    project: Project, output: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(project())
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with pytest.raises(StorageError, match="temporary files") as fault:
        edgeprep.convert(recipe, output, registry=registry)
    assert str(fault.value) == (
        "temporary files: must be written in '/nonexistent', got 'No such file or directory'; "
        "set TMPDIR to a directory that has room for them"
    )


def test_no_temporary_directory_at_all_is_said(
    project: Project, output: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(project())
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nonexistent"])
    with pytest.raises(StorageError, match="temporary files") as fault:
        edgeprep.convert(recipe, output, registry=registry)
    assert str(fault.value) == (
        'temporary files: must be written, got "No usable temporary directory found in '
        "['/nonexistent']\"; set TMPDIR to a directory that has room for them"
    )


def test_another_file_that_fails_is_named_and_not_the_output(
    project: Project, output: Path, registry: Registry
) -> None:
    @contextmanager
    def progress(title: str) -> Iterator[Callable[[str], None]]:
        raise OSError(errno.EIO, "Input/output error", "/media/stick/steps.log")
        yield title.count

    with pytest.raises(StorageError, match=r"steps\.log") as fault:
        edgeprep.convert(project(), output, registry=registry, progress=progress)
    assert str(fault.value) == (
        "/media/stick/steps.log: must be a file that can be used, got 'Input/output error'"
    )


def test_pictures_of_a_film_are_compared_with_those_before_them() -> None:
    film = [(np.full((4, 4, 3), level, np.uint8), level) for level in (10, 30, 25)]
    data = Samples(lambda: iter(film), where="data.evaluation", description="a film")
    host = Chain(input=ImageSpec(height=4, width=4), stages=(FrameDifference(),))
    prepared = prepare_samples(data, host, "data.evaluation")
    assert [int(picture[0, 0, 0]) for picture in prepared.inputs] == [0, 20, 5]
    dropping = Chain(input=host.input, stages=(Frames(every=2),))
    assert prepare_samples(data, dropping, "data.evaluation").labels == (10, 25)
