import pickle  # noqa: TID251 -- writes the version for Python
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeprep.data import Samples

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TABLE: dict[str, object] = {"use": "cifar", "path": ".", "part": "training"}

OpenData = Callable[..., Samples]
Rows = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def rows(count: int, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)


def write_binary(path: Path, *columns: bytes, pictures: Rows) -> None:
    """<1 × label> or <1 × coarse label><1 × fine label>, then <3072 × pixel>, again and again."""
    records = zip(*columns, pictures, strict=True)
    path.write_bytes(b"".join(bytes(labels) + row.tobytes() for *labels, row in records))


@pytest.fixture
def binary(tmp_path: Path) -> Rows:
    """Two batches of CIFAR-10, of 10 and 5 pictures."""
    pictures = rows(15)
    write_binary(tmp_path / "data_batch_1.bin", bytes(range(10)), pictures=pictures[:10])
    write_binary(tmp_path / "data_batch_2.bin", bytes([5] * 5), pictures=pictures[10:])
    (tmp_path / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return pictures


def test_planes_of_colour_become_pixels(open_data: OpenData, binary: Rows) -> None:
    found = list(open_data("class", NAMES, **TABLE))
    for (picture, _), row in zip(found, binary, strict=True):
        assert picture.shape == (32, 32, 3)
        # The first 1024 are red, row by row; then green, then blue.
        for y, x in ((0, 0), (0, 31), (31, 0), (7, 19)):
            assert picture[y, x].tolist() == [row[32 * y + x + at] for at in (0, 1024, 2048)]
    assert [label for _, label in found] == [*range(10), 5, 5, 5, 5, 5]


def test_classes_go_by_their_names(open_data: OpenData, binary: Rows) -> None:
    found = open_data("class", NAMES[::-1], **TABLE)
    assert [label for _, label in found][:3] == [9, 8, 7]


def test_classes_go_by_their_numbers_without_a_list_of_names(
    open_data: OpenData, binary: Rows, tmp_path: Path
) -> None:
    (tmp_path / "batches.meta.txt").unlink()
    found = open_data("class", NAMES[::-1], **TABLE)
    assert [label for _, label in found][:3] == [0, 1, 2]


def test_animals_and_vehicles(open_data: OpenData, binary: Rows) -> None:
    vehicles = dict.fromkeys(("airplane", "automobile", "ship", "truck"), "vehicle")
    found = open_data("class", ("vehicle",), **TABLE, classes=vehicles, others="ignore")
    assert len(list(found)) == 4


def test_the_test_part_is_apart(open_data: OpenData, binary: Rows, tmp_path: Path) -> None:
    write_binary(tmp_path / "test_batch.bin", bytes([3]), pictures=rows(1, seed=9))
    ((picture, label),) = open_data(**{**TABLE, "part": "test"})
    assert picture[0, 0, 0] == rows(1, seed=9)[0, 0]
    assert label is None


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "text"])
def test_the_version_for_python_is_the_same(
    open_data: OpenData, binary: Rows, tmp_path: Path, protocol: int, as_bytes: bool
) -> None:
    expected = [(picture.tobytes(), label) for picture, label in open_data("class", NAMES, **TABLE)]

    def name(text: str) -> object:
        return text.encode() if as_bytes else text

    for number, labels, pictures in ((1, [*range(10)], binary[:10]), (2, [5] * 5, binary[10:])):
        batch = {name("data"): pictures, name("labels"): labels, name("batch_label"): name("x")}
        (tmp_path / f"data_batch_{number}").write_bytes(pickle.dumps(batch, protocol))
        (tmp_path / f"data_batch_{number}.bin").unlink()
    meta = {name("label_names"): [name(each) for each in NAMES], name("num_vis"): 3072}
    (tmp_path / "batches.meta").write_bytes(pickle.dumps(meta, protocol))
    (tmp_path / "batches.meta.txt").unlink()
    found = open_data("class", NAMES, **TABLE)
    assert [(picture.tobytes(), label) for picture, label in found] == expected


@pytest.fixture
def cifar_100(tmp_path: Path) -> None:
    write_binary(tmp_path / "train.bin", bytes([1, 0, 1]), bytes([2, 0, 1]), pictures=rows(3))
    (tmp_path / "fine_label_names.txt").write_text("apple\nbear\nbeaver\n")
    (tmp_path / "coarse_label_names.txt").write_text("fruit\r\nanimal\r\n")


@pytest.mark.parametrize(
    ("level", "labels", "expected"),
    [("fine", ("apple", "bear", "beaver"), [2, 0, 1]), ("coarse", ("fruit", "animal"), [1, 0, 1])],
)
def test_cifar_100_has_two_levels(
    open_data: OpenData, cifar_100: None, level: str, labels: tuple[str, ...], expected: list[int]
) -> None:
    found = open_data("class", labels, **TABLE, level=level)
    assert [label for _, label in found] == expected


@pytest.mark.parametrize("level", ["fine", "coarse"])
def test_cifar_100_for_python_is_the_same(
    open_data: OpenData, cifar_100: None, tmp_path: Path, level: str
) -> None:
    labels = ("apple", "bear", "beaver") if level == "fine" else ("fruit", "animal")
    expected = [label for _, label in open_data("class", labels, **TABLE, level=level)]
    (tmp_path / "train.bin").unlink()
    batch = {b"data": rows(3), b"coarse_labels": [1, 0, 1], b"fine_labels": [2, 0, 1]}
    (tmp_path / "train").write_bytes(pickle.dumps(batch, 2))
    meta = {
        b"fine_label_names": [b"apple", b"bear", b"beaver"],
        b"coarse_label_names": [b"fruit", b"animal"],
    }
    (tmp_path / "meta").write_bytes(pickle.dumps(meta, 2))
    found = open_data("class", labels, **TABLE, level=level)
    assert [label for _, label in found] == expected


def test_cifar_10_has_one_level(refuse: Callable[..., str], binary: Rows) -> None:
    assert refuse("class", NAMES, **TABLE, level="coarse") == (
        "data.training.level: must be 'fine' for CIFAR-10, which has one class a picture,"
        " got 'coarse'"
    )


def test_a_class_that_is_no_label(refuse: Callable[..., str], binary: Rows) -> None:
    assert refuse("class", NAMES[:9], **TABLE) == (
        "data.training.path: data_batch_1.bin, picture 9: class must be a label of the task,"
        " got 'truck';"
        " name its label in classes, or ignore such by others = 'ignore'"
    )


def test_a_class_that_has_no_name(refuse: Callable[..., str], binary: Rows, tmp_path: Path) -> None:
    write_binary(tmp_path / "data_batch_2.bin", bytes([10]), pictures=rows(1))
    assert refuse("class", NAMES, **TABLE) == (
        "data.training.path: data_batch_2.bin, picture 0: class must be in 0..9, got 10;"
        " the data name 10 classes"
    )


def test_a_batch_that_is_cut_short(
    refuse: Callable[..., str], binary: Rows, tmp_path: Path
) -> None:
    path = tmp_path / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert refuse(**TABLE) == (
        f"data.training.path: {path}: must have 3073 bytes for each picture, got 15364;"
        " the file is cut short"
    )


def test_a_directory_of_something_else(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert refuse(**TABLE) == (
        "data.training.path: must have one of 'data_batch_1.bin', 'train.bin', 'data_batch_1',"
        f" 'train', got none in '{tmp_path}'"
    )


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1], "must be a dictionary, got <class 'list'>"),
        (
            {b"data": rows(2)[:, :9], b"labels": [1, 2]},
            "must have an array (pictures, 3072) as 'data', got (2, 9)",
        ),
        ({b"labels": []}, "must have an array (pictures, 3072) as 'data', got <class 'NoneType'>"),
        (
            {b"data": rows(2), b"labels": [1]},
            "must have 2 whole numbers as 'labels', got 1",
        ),
        (
            {b"data": rows(2), b"labels": [1, "x"]},
            "must have 2 whole numbers as 'labels', got 'x'",
        ),
        (
            {b"data": rows(2).astype(np.float32)},
            (
                "must have arrays of unsigned bytes, got 'f4';"
                " the binary version of the data set serves as well"
            ),
        ),
    ],
    ids=["a list", "small pictures", "no pictures", "few labels", "a text", "floats"],
)
def test_a_batch_of_python_that_does_not_fit(
    refuse: Callable[..., str], tmp_path: Path, batch: object, message: str
) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch, 2))
    assert refuse(**TABLE) == f"data.training.path: {tmp_path}/data_batch_1: {message}"


def test_a_label_beyond_all_numbers_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    batch = {b"data": rows(2), b"labels": [0, 10**30]}
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch, 2))
    assert refuse(**TABLE) == (
        f"data.training.path: {tmp_path}/data_batch_1: must have 2 whole numbers as 'labels',"
        f" got {10**30}"
    )


def test_a_class_that_is_named_twice_is_said(
    open_data: OpenData, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    write_binary(tmp_path / "test_batch.bin", bytes([0, 1, 2]), pictures=rows(3))
    (tmp_path / "batches.meta.txt").write_text("a\na\nb\n")
    found = open_data("class", ("a", "b"), **{**TABLE, "part": "test"})
    assert [label for _, label in found] == [0, 0, 1]
    assert caplog.records[-1].getMessage() == (
        "data.training.path: batches.meta.txt should have names that differ, got 'a' more than"
        " once; they become one class"
    )


def test_batches_that_are_not_there_are_named(
    open_data: OpenData, binary: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(list(open_data(**TABLE))) == 15
    assert [record.getMessage() for record in caplog.records] == [
        (
            "data.training.path: 2 of 5 files of the part are there; there is no"
            " 'data_batch_3.bin', 'data_batch_4.bin', 'data_batch_5.bin'"
        )
    ]


@pytest.mark.parametrize("python", [False, True], ids=["binary", "for Python"])
def test_sides_of_a_split_are_the_same_at_both_levels(
    open_data: OpenData, tmp_path: Path, python: bool
) -> None:
    pictures, fine = rows(60), [number % 3 for number in range(60)]
    coarse = [int(number > 0) for number in fine]
    if python:
        batch = {b"data": pictures, b"coarse_labels": coarse, b"fine_labels": fine}
        (tmp_path / "train").write_bytes(pickle.dumps(batch, 2))
    else:
        write_binary(tmp_path / "train.bin", bytes(coarse), bytes(fine), pictures=pictures)
    keys = {**TABLE, "split": "validation", "held_out": 0.25}
    held = [
        [picture.tobytes() for picture, _ in open_data(**keys, level=level)]
        for level in ("fine", "coarse")
    ]
    assert held[0] == held[1]
    assert len(held[0]) == 15
