import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.data import Samples, build_reader
from edgeprep.runtime.inputs import from_rgb
from edgeprep.tasks.classify import Classify
from edgeprep.tensors import ImageSpec

DIGITS = tuple("0123456789")
TABLE: dict[str, object] = {"use": "mnist", "path": "images", "labels": "labels"}

OpenData = Callable[..., Samples]
Digits = NDArray[np.uint8]


def idx(*shape: int, values: bytes, kind: int = 8) -> bytes:
    """A file as the page of MNIST describes it: magic number, sizes (MSB first), values."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + values


@pytest.fixture
def digits(tmp_path: Path) -> Digits:
    """Twenty pictures of 3 rows and 2 columns, two of each digit, in two files."""
    pictures = np.arange(120, dtype=np.uint8).reshape(20, 3, 2)
    (tmp_path / "images").write_bytes(idx(20, 3, 2, values=pictures.tobytes()))
    (tmp_path / "labels").write_bytes(idx(20, values=bytes(range(10)) * 2))
    return pictures


def test_pictures_are_those_of_the_file_with_their_classes(
    open_data: OpenData, digits: Digits
) -> None:
    found = list(open_data("class", DIGITS, **TABLE))
    for channel in range(3):
        assert np.array_equal([picture[..., channel] for picture, _ in found], digits)
    assert found[0][0].shape == (3, 2, 3)
    assert [label for _, label in found] == [*range(10)] * 2


def test_grey_stays_what_it_was_where_a_network_takes_grey(
    open_data: OpenData, tmp_path: Path
) -> None:
    levels = np.arange(256, dtype=np.uint8)
    (tmp_path / "images").write_bytes(idx(1, 16, 16, values=levels.tobytes()))
    ((picture, _),) = open_data(use="mnist", path="images")
    assert from_rgb(picture, ImageSpec(color="grey")).ravel().tolist() == levels.tolist()


def test_compressed_files_are_the_same(open_data: OpenData, tmp_path: Path, digits: Digits) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    found = list(open_data("class", DIGITS, **TABLE))
    assert np.array_equal([picture[..., 0] for picture, _ in found], digits)
    assert [label for _, label in found] == [*range(10)] * 2


def test_pictures_with_three_channels_are_rgb(open_data: OpenData, tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(idx(1, 1, 2, 3, values=bytes([1, 2, 3, 4, 5, 6])))
    ((picture, label),) = open_data(use="mnist", path="images")
    assert picture.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert label is None


def test_a_limit_draws_evenly_from_the_digits(open_data: OpenData, digits: Digits) -> None:
    labels = [label for _, label in open_data("class", DIGITS, **TABLE, limit=10, seed=3)]
    assert sorted(labels) == [*range(10)]


def test_classes_that_count_from_one(open_data: OpenData, tmp_path: Path, digits: Digits) -> None:
    # As the letters of EMNIST do.
    (tmp_path / "labels").write_bytes(idx(20, values=bytes([1, 2]) * 10))
    found = open_data("class", ("a", "b"), **TABLE, classes={"1": "a", "2": "b"})
    assert [label for _, label in found] == [0, 1] * 10


def test_some_digits_alone(open_data: OpenData, digits: Digits) -> None:
    keys = {**TABLE, "classes": {"3": "three", "7": "seven"}, "others": "ignore"}
    found = list(open_data("class", ("seven", "three"), **keys))
    assert [label for _, label in found] == [1, 0, 1, 0]
    assert found[0][0][..., 0].tolist() == digits[3].tolist()
    assert open_data("class", ("seven", "three"), **keys).skipped == ()


def test_a_digit_without_a_label(refuse: Callable[..., str], digits: Digits) -> None:
    assert refuse("class", DIGITS[:9], **TABLE) == (
        "data.training.labels: images, picture 9: class must be in 0..8, got 9;"
        " the task has 9 labels"
    )


def test_labels_must_be_named(refuse: Callable[..., str], digits: Digits) -> None:
    assert refuse("class", DIGITS, use="mnist", path="images") == (
        "data.training.labels: must be given for task 'held', got None"
    )


def test_pictures_without_labels_can_be_learned_from(open_data: OpenData, digits: Digits) -> None:
    reader = build_reader({"use": "mnist", "path": "images"}, "data.training")
    task = Classify(labels=DIGITS)
    assert not reader.is_labelled(directory=Path(), where="data.training", task=task)


def test_another_number_of_labels(
    refuse: Callable[..., str], tmp_path: Path, digits: Digits
) -> None:
    (tmp_path / "labels").write_bytes(idx(19, values=bytes(19)))
    assert refuse("class", DIGITS, **TABLE) == (
        "data.training.labels: must have one class for each of the 20 pictures, got 19"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be an IDX file of unsigned bytes, got one that starts with b''"),
        (
            b"\x89PNG\r\n\x1a\n",
            "must be an IDX file of unsigned bytes, got one that starts with b'\\x89PNG'",
        ),
        (
            idx(1, 1, 1, values=bytes(4), kind=13),
            "must be an IDX file of unsigned bytes, got one that starts with b'\\x00\\x00\\r\\x03'",
        ),
        (idx(4, values=bytes(4)), "must have 3 or 4 axes, got 1"),
        (idx(1, 2, 2, values=bytes(3)), "must have 4 bytes more, got 3; the file is cut short"),
        (b"\0\0\x08\x03\0\0", "must have 12 bytes more, got 2; the file is cut short"),
        (idx(1, 2, 2, values=bytes(5)), "must end after the 4 values of [1, 2, 2], got more"),
        (
            idx(0, 28, 28, values=b""),
            "must have 1 to 8589934592 values, got 0 by its axes [0, 28, 28]",
        ),
        (
            idx(*[1 << 31] * 3, values=b""),
            (
                "must have 1 to 8589934592 values, got 9903520314283042199192993792"
                " by its axes [2147483648, 2147483648, 2147483648]"
            ),
        ),
        (
            gzip.compress(idx(1, 2, 2, values=bytes(4)))[:-9],
            (
                "must be a whole file of gzip, got one that fails with"
                " 'Compressed file ended before the end-of-stream marker was reached'"
            ),
        ),
    ],
    ids=[
        *("empty", "another format", "floats", "one axis", "cut short", "cut in its header"),
        *("too long", "no pictures", "huge", "cut gzip"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    refuse: Callable[..., str], tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "images").write_bytes(content)
    assert refuse(use="mnist", path="images") == (
        f"data.training.path: {tmp_path}/images: {message}"
    )


def test_a_file_that_is_not_there(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert refuse(use="mnist", path="images") == (
        f"data.training.path: {tmp_path}/images: must be a file that can be read,"
        " got 'No such file or directory'"
    )


def test_channels_that_no_picture_has(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(idx(1, 2, 2, 2, values=bytes(8)))
    assert refuse(use="mnist", path="images") == (
        "data.training.path: must have pictures of 1 or 3 channels, which come last,"
        " got (1, 2, 2, 2)"
    )


def test_a_split_needs_labels_as_its_other_side_has_them(
    refuse: Callable[..., str], digits: Digits
) -> None:
    keys = {"use": "mnist", "path": "images", "split": "training", "held_out": 0.2}
    assert refuse(**keys) == (
        "data.training.labels: must be given where split is, got None;"
        " other tables are split by class, and sides would have pictures in common"
    )
