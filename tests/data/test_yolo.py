"""Text files of YOLO, as the documentation of Ultralytics describes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeprep.data import Samples
from edgeprep.truths import Boxes

TABLE: dict[str, object] = {"use": "yolo", "path": "data/images/train"}
LABELS = ("person", "bicycle", "car")

OpenData = Callable[..., Samples]
Draw = Callable[..., Path]
Annotate = Callable[..., Path]


@pytest.fixture
def annotate(tmp_path: Path, draw: Draw) -> Annotate:
    """Writes a picture of 20 × 40 pixels, and its lines."""

    def write(name: str, content: str | bytes = "", *, width: int = 40, height: int = 20) -> Path:
        draw(f"data/images/train/{name}.jpg", height, width)
        path = tmp_path / "data" / "labels" / "train" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def boxes(samples: Samples) -> list[Boxes]:
    found = [truth for _, truth in samples]
    assert all(isinstance(truth, Boxes) for truth in found)
    return found  # type: ignore[return-value]


def test_boxes_are_centres_and_sides_in_shares_of_the_picture(
    open_data: OpenData, annotate: Annotate
) -> None:
    # Centre (20, 5), 10 wide and 10 high; and the whole picture.
    annotate("a", "2 0.5 0.25 0.25 0.5\n0 0.5 0.5 1 1\n")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.corners.tolist() == [[15, 0, 25, 10], [0, 0, 40, 20]]
    assert found.classes.tolist() == [2, 0]


def test_boxes_of_outlines(open_data: OpenData, annotate: Annotate) -> None:
    annotate("a", "1 0.5 0.25 0.25 0.5 0.75 0.75\n")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.corners.tolist() == [[10, 5, 30, 15]]


def test_masks_of_outlines(open_data: OpenData, annotate: Annotate) -> None:
    # Cars from (10, 5) to (30, 15), and a person among them from (12, 6) to (16, 8).
    annotate("a", "0 .3 .3 .4 .3 .4 .4 .3 .4\n2 .25 .25 .75 .25 .75 .75 .25 .75\n")
    ((_, mask),) = open_data("mask", ("sky", *LABELS), **TABLE, names=LABELS, background="sky")
    expected = np.zeros((20, 40), np.uint8)
    expected[5:15, 10:30] = 3
    expected[6:8, 12:16] = 1
    assert np.array_equal(mask.classes, expected)  # type: ignore[union-attr]


def test_classes_of_a_picture(open_data: OpenData, annotate: Annotate) -> None:
    annotate("a", "2 .5 .5 .1 .1\n0 .5 .5 .2 .2\n2 .2 .2 .1 .1")
    ((_, found),) = open_data("classes", LABELS, **TABLE)
    assert found.present.tolist() == [True, False, True]  # type: ignore[union-attr]


def test_pictures_without_objects(open_data: OpenData, annotate: Annotate) -> None:
    annotate("a", "0 .5 .5 .1 .1")
    annotate("empty")
    annotate("absent").unlink()
    annotate("lines", "\n \r\n")
    assert [len(one) for one in boxes(open_data("boxes", LABELS, **TABLE))] == [1, 0, 0, 0]


def test_byte_order_mark_crlf_and_names_in_any_script(
    open_data: OpenData, annotate: Annotate
) -> None:
    path = annotate("夏 №1", b"\xef\xbb\xbf0 .5 .5 .1 .1\r\n\t1   .5 .5 .1 .1 \r\n")
    picture = path.parents[2] / "images" / "train" / "夏 №1.jpg"
    picture.rename(picture.with_suffix(".JPG"))
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.classes.tolist() == [0, 1]


def test_directories_below_are_looked_at(open_data: OpenData, annotate: Annotate) -> None:
    annotate("a", "0 .5 .5 .1 .1")
    annotate("night/a", "")
    (annotate("night/b", "1 .5 .5 .1 .1")).with_name("classes.txt").write_text("person\n")
    samples = open_data("boxes", LABELS, **TABLE)
    assert [len(one) for one in boxes(samples)] == [1, 0, 1]
    assert samples.skipped == ()


def test_text_files_may_lie_elsewhere(
    tmp_path: Path, open_data: OpenData, annotate: Annotate
) -> None:
    annotate("a", "0 .5 .5 .1 .1").parent.rename(tmp_path / "elsewhere")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE, labels="elsewhere"))
    assert len(found) == 1


def test_text_files_beside_the_pictures(tmp_path: Path, open_data: OpenData, draw: Draw) -> None:
    draw("set/a.png")
    (tmp_path / "set" / "a.txt").write_text("0 .5 .5 .5 .5")
    (found,) = boxes(open_data("boxes", LABELS, use="yolo", path="set"))
    assert found.corners.tolist() == [[2, 1.5, 6, 4.5]]


def test_names_of_the_data_say_what_numbers_mean(open_data: OpenData, annotate: Annotate) -> None:
    annotate("a", "1 .5 .5 .1 .1\n0 .5 .5 .1 .1\n2 .5 .5 .1 .1\n")
    keys = {**TABLE, "names": ["car", "truck", "tree"], "classes": {"truck": "car"}}
    (found,) = boxes(open_data("boxes", LABELS, **keys, others="ignore"))
    assert found.classes.tolist() == [2, 2]


def test_a_list_of_paths_names_pictures(
    tmp_path: Path, open_data: OpenData, annotate: Annotate
) -> None:
    annotate("a", "0 .5 .5 .1 .1")
    annotate("b", "1 .5 .5 .1 .1")
    (tmp_path / "train.txt").write_text("./images/train/b.jpg\n")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE, listed_in="train.txt"))
    assert found.classes.tolist() == [1]


def test_a_box_that_was_rounded_beyond_the_picture_is_cut(
    open_data: OpenData, annotate: Annotate
) -> None:
    annotate("a", "0 0.95 0.5 0.12 1.0000001")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.corners.tolist() == [[pytest.approx(35.6), 0, 40, 20]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "class must be in 0..2, got 3; the task has 3 labels"),
        ({"names": ["person"]}, "class must be in 0..0, got 3; there are 1 names"),
        (
            {"names": ["person", "a", "b", "bicycles"]},
            "class must be a label of the task, got 'bicycles'; did you mean 'bicycle'?",
        ),
        (
            {"classes": {"0": "person"}},
            (
                "class must be a label of the task, got '3';"
                " name its label in classes, or ignore such by others = 'ignore'"
            ),
        ),
    ],
    ids=["no label", "no name", "a name without a label", "not in the map"],
)
def test_a_class_without_a_label_is_an_error_at_once(
    open_data: OpenData,
    refuse: Callable[..., str],
    annotate: Annotate,
    keys: dict[str, object],
    message: str,
) -> None:
    path = annotate("a", "0 .5 .5 .1 .1\n\n3 .5 .5 .1 .1\n")
    assert refuse("boxes", LABELS, **TABLE, **keys) == f"data.training.labels: {path}:3: {message}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "0 .5 .5 .1",
            "must be a class with four numbers, or with three or more points, got '0 .5 .5 .1'",
        ),
        (
            "0 .5 .5 .1 .1 .9",
            (
                "must be a class with four numbers, or with three or more points,"
                " got '0 .5 .5 .1 .1 .9'"
            ),
        ),
        ("0 20 10 8 8", "must have shares of the picture's sides, in 0..1, got 20.0"),
        ("0 .5 .5 -.1 .1", "must have shares of the picture's sides, in 0..1, got -0.1"),
        ("cat .5 .5 .1 .1", "must have numbers only, got 'cat .5 .5 .1 .1'"),
        ("0 .5 nan .1 .1", "must have numbers only, got '0 .5 nan .1 .1'"),
        ("0.5 .5 .5 .1 .1", "must begin with the number of a class, got 0.5"),
        ("-1 .5 .5 .1 .1", "must begin with the number of a class, got -1.0"),
    ],
)
def test_a_line_that_is_none_leaves_its_picture_out(
    open_data: OpenData, annotate: Annotate, line: str, reason: str
) -> None:
    paths = [annotate(f"{number:02}", "0 .5 .5 .1 .1") for number in range(10)]
    paths[3].write_text(f"0 .5 .5 .1 .1\n{line}\n")
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 9
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("03.jpg", f"{paths[3]}:2: {reason}")
    ]


def test_a_box_is_no_outline(open_data: OpenData, annotate: Annotate) -> None:
    paths = [annotate(f"{number:02}") for number in range(10)]
    paths[3].write_text("0 .5 .5 .1 .1")
    samples = open_data("mask", LABELS, **TABLE, background="car")
    assert len(list(samples)) == 9
    assert [one.reason for one in samples.skipped] == [
        f"{paths[3]}:1: must be an outline where masks are asked for, got a box"
    ]


def test_a_box_of_zero_size_is_counted(open_data: OpenData, annotate: Annotate) -> None:
    paths = [annotate(f"{number:02}") for number in range(10)]
    paths[3].write_text("0 .5 .5 0 .1")
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 9
    assert [one.reason for one in samples.skipped] == [
        (
            "data.training: the label of 03.jpg: box 0 must be wider and higher than 0 pixels,"
            " got [20.0, 9.0, 20.0, 11.0]"
        )
    ]


def test_a_text_file_without_its_picture_is_counted(
    tmp_path: Path, open_data: OpenData, annotate: Annotate
) -> None:
    for number in range(10):
        annotate(f"{number:02}")
    (tmp_path / "data" / "images" / "train" / "03.jpg").unlink()
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 9
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("03.txt", f"{tmp_path}/data/images/train: must have a picture of its name, got none")
    ]


def test_two_pictures_of_one_text_file(
    refuse: Callable[..., str], annotate: Annotate, draw: Draw
) -> None:
    annotate("a")
    draw("data/images/train/a.png")
    assert refuse("boxes", LABELS, **TABLE) == (
        "data.training.path: names without their extensions must differ, got 'a.jpg' and 'a.png'"
    )


def test_a_directory_without_text_files(
    tmp_path: Path, refuse: Callable[..., str], annotate: Annotate
) -> None:
    annotate("a").unlink()
    assert refuse("boxes", LABELS, **TABLE) == (
        "data.training.labels: must have files that are called as the pictures, such as 'a.txt',"
        f" got none in '{tmp_path}/data/labels/train'"
    )


def test_a_directory_that_is_not_there(
    tmp_path: Path, refuse: Callable[..., str], annotate: Annotate
) -> None:
    path = annotate("a")
    path.unlink()
    path.parent.rmdir()
    assert refuse("boxes", LABELS, **TABLE) == (
        f"data.training.labels: must be a directory, got '{path.parent}'"
    )


def test_pictures_alone_need_no_text_files(open_data: OpenData, draw: Draw) -> None:
    draw("data/images/train/a.jpg")
    assert len(list(open_data(**TABLE))) == 1


def test_lone_text_files_change_no_split(open_data: OpenData, annotate: Annotate) -> None:
    for number in range(20):
        annotate(f"{number}", "0 .5 .5 .1 .1\n", width=40 + number)
    for number in range(12):
        path = annotate(f"lone{number}", "0 .5 .5 .1 .1\n")
        (path.parents[2] / "images" / "train" / f"lone{number}.jpg").unlink()
    keys = {**TABLE, "held_out": 0.25}
    training = open_data(**keys, split="training")
    validation = open_data("boxes", LABELS, **keys, split="validation")
    held = {picture.shape for picture, _ in validation}
    assert len(held) == 5
    assert not held & {picture.shape for picture, _ in training}


def test_hidden_text_files_are_left_alone(open_data: OpenData, annotate: Annotate) -> None:
    path = annotate("a", "0 .5 .5 .1 .1\n")
    # As macOS leaves them on other people's disks.
    path.with_name("._a.txt").write_bytes(b"\0\5\26\7")
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 1
    assert samples.skipped == ()


def test_two_names_that_are_one_are_said(
    open_data: OpenData, annotate: Annotate, caplog: pytest.LogCaptureFixture
) -> None:
    annotate("a", "2 0.5 0.5 0.25 0.5")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE, names=["car", "person", "car"]))
    assert found.classes.tolist() == [2]
    assert caplog.records[0].getMessage() == (
        "data.training.names should have names that differ, got 'car' more than once;"
        " they become one class"
    )
