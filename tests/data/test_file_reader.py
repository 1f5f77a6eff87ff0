"""What all readers of files have in common, by the one of the simplest kind."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeprep.data import Samples, build_reader
from edgeprep.errors import RecipeError

TABLE: dict[str, object] = {"use": "image-folder", "path": "set"}
LABELS = ("ant", "bee", "cat")

OpenData = Callable[..., Samples]


@pytest.fixture(autouse=True)
def pictures(draw: Callable[..., Path]) -> None:
    """Ten ants, five bees and two cats, each of its own level."""
    for number in range(10):
        draw(f"set/ant/a{number}.png", level=number)
    for number in range(5):
        draw(f"set/bee/b{number}.png", level=20 + number)
    for number in range(2):
        draw(f"set/cat/c{number}.png", level=40 + number)


def levels(samples: Samples) -> list[int]:
    return [int(picture[0, 0, 0]) for picture, _ in samples]


def write_list(tmp_path: Path, content: str) -> dict[str, object]:
    (tmp_path / "list.txt").write_bytes(content.encode())
    return {**TABLE, "listed_in": "list.txt"}


def test_both_sides_of_a_split_together_are_everything_once(open_data: OpenData) -> None:
    sides = [
        levels(open_data("class", LABELS, **TABLE, split=side, held_out=0.2))
        for side in ("training", "validation")
    ]
    assert sorted(sides[0] + sides[1]) == sorted(levels(open_data(**TABLE)))
    assert not {*sides[0]} & {*sides[1]}


def test_every_class_is_split_by_itself(open_data: OpenData) -> None:
    held = levels(open_data("class", LABELS, **TABLE, split="validation", held_out=0.2))
    # 0.2 of 10, of 5 and of 2; of these, one of two has to be on either side.
    assert [sum(low <= one < low + 20 for one in held) for low in (0, 20, 40)] == [2, 1, 1]


def test_a_class_with_one_picture_keeps_it_for_training(
    open_data: OpenData, draw: Callable[..., Path]
) -> None:
    draw("set/dog/d.png", level=60)
    assert 60 in levels(open_data(**TABLE, split="training", held_out=0.5))
    assert 60 not in levels(open_data(**TABLE, split="validation", held_out=0.5))


def test_a_split_depends_neither_on_the_task_nor_on_the_draw(open_data: OpenData) -> None:
    keys = {**TABLE, "split": "validation", "held_out": 0.3}
    held = {*levels(open_data("class", LABELS, **keys))}
    assert {*levels(open_data(**keys))} == held
    assert {*levels(open_data("class", LABELS[::-1], **keys))} == held
    for seed in range(5):
        assert {*levels(open_data("class", LABELS, **keys, seed=seed, limit=4))} < held


def test_another_split_seed_holds_out_others(open_data: OpenData) -> None:
    keys = {**TABLE, "split": "validation", "held_out": 0.3}
    assert len({tuple(levels(open_data(**keys, split_seed=seed))) for seed in range(8)}) > 1


def test_the_description_says_which_side(open_data: OpenData) -> None:
    found = open_data(**TABLE, split="training", held_out=0.2)
    assert found.description == "pictures in set, training part"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"split": "training"},
            (
                "data.training.held_out: must be given where split is, got None;"
                " both sides need the same held_out"
            ),
        ),
        (
            {"held_out": 0.2},
            (
                "data.training.split: must be given where held_out is, got None;"
                " both sides need the same held_out"
            ),
        ),
        (
            {"split": "training", "held_out": 1.0},
            "data.training.held_out: must be above 0 and below 1, got 1.0",
        ),
        (
            {"split": "valid", "held_out": 0.2},
            (
                "data.training.split: must be one of 'training', 'validation', got 'valid';"
                " did you mean 'validation'?"
            ),
        ),
    ],
    ids=["no share", "no side", "all", "no such side"],
)
def test_a_split_that_is_none_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        build_reader({**TABLE, **keys}, "data.training")


@pytest.mark.parametrize(
    "content",
    [
        "bee/b1.png\nant/a3.png\n",
        "\ufeffbee/b1.png\r\nant/a3.png\r\n\r\n",
        "bee/b1\nant/a3",
        "./set/bee/b1.png\n/data/set/ant/a3.png\n",
        "set\\bee\\b1.png\nset\\ant\\a3.png\n",
    ],
    ids=["names", "BOM and CRLF", "without endings", "with directories", "of Windows"],
)
def test_a_list_says_which_pictures_and_in_which_order(
    tmp_path: Path, open_data: OpenData, content: str
) -> None:
    assert levels(open_data(**write_list(tmp_path, content))) == [21, 3]


def test_a_list_may_have_names_in_any_script(
    tmp_path: Path, open_data: OpenData, draw: Callable[..., Path]
) -> None:
    draw("set/ant/蟻 №1.png", level=99)
    assert levels(open_data(**write_list(tmp_path, "ant/蟻 №1.png\n"))) == [99]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "bee/b1.png\n\nbee/b9.png\n",
            (
                "list.txt:3: must name a picture of the data, got 'bee/b9.png';"
                " did you mean 'bee/b.png'?"
            ),
        ),
        (
            "bee/b1.png\r\nbee/b1.png\r\n",
            "list.txt:2: must name a picture once, got 'bee/b1.png', which is in line 1, too",
        ),
        (
            "bee/b1.png\nbee/b1\n",
            "list.txt:2: must name a picture once, got 'bee/b1', which is in line 1, too",
        ),
        (
            "bee/b\n",
            "list.txt:1: must name one picture, got 'bee/b', which are 'bee/b.jpg' and 'bee/b.png'",
        ),
    ],
    ids=["not there", "twice, of Windows", "twice", "two of a name"],
)
def test_a_list_that_does_not_fit_is_refused(
    tmp_path: Path,
    refuse: Callable[..., str],
    draw: Callable[..., Path],
    content: str,
    message: str,
) -> None:
    draw("set/bee/b.png")
    draw("set/bee/b.jpg")
    assert refuse(**write_list(tmp_path, content)) == f"data.training.listed_in: {message}"


def test_a_list_without_names_is_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert refuse(**write_list(tmp_path, "\n \n")) == (
        f"data.training.listed_in: must name at least one picture, got none in"
        f" '{tmp_path}/list.txt'"
    )


def test_a_list_that_is_not_there_is_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert refuse(**TABLE, listed_in="absent.txt") == (
        f"data.training.listed_in: {tmp_path}/absent.txt: must be a file that can be read,"
        " got 'No such file or directory'"
    )


def test_a_list_that_is_no_text_is_refused(tmp_path: Path, refuse: Callable[..., str]) -> None:
    (tmp_path / "list.txt").write_bytes(b"ant/a1.png\nant/\xe9.png\n")
    assert refuse(**TABLE, listed_in="list.txt") == (
        f"data.training.listed_in: {tmp_path}/list.txt:2: must be UTF-8 text, got b'\\xe9'"
    )


def test_names_of_the_data_become_labels_of_the_task(open_data: OpenData) -> None:
    found = open_data(
        "class", ("insect", "cat"), **TABLE, classes={"ant": "insect", "bee": "insect"}
    )
    assert [label for _, label in found] == [0] * 15 + [1] * 2


def test_other_names_are_left_out_where_that_is_said(open_data: OpenData) -> None:
    found = open_data("class", ("cat", "bee"), **TABLE, others="ignore")
    assert [label for _, label in found] == [0] * 2 + [1] * 5


def test_a_list_may_name_what_is_ignored(tmp_path: Path, open_data: OpenData) -> None:
    table = write_list(tmp_path, "cat/c0\nant/a3\nbee/b1\ncat/c1\n")
    assert levels(open_data("class", ("cat", "bee"), **table, others="ignore")) == [40, 21, 41]


def test_other_names_are_an_error(refuse: Callable[..., str]) -> None:
    assert refuse("class", ("moth", "wasp"), **TABLE, classes={"bee": "wasp"}) == (
        "data.training.path: class directory must be a label of the task, got 'ant';"
        " name its label in classes, or ignore such by others = 'ignore'"
    )


def test_classes_name_labels(refuse: Callable[..., str]) -> None:
    assert refuse("class", ("insect", "cat"), **TABLE, classes={"ant": "insects"}) == (
        "data.training.classes.ant: must be a label of the task, got 'insects';"
        " did you mean 'insect'?"
    )


def test_a_task_that_is_held_against_something_else_is_refused(
    refuse: Callable[..., str],
) -> None:
    assert refuse("boxes", ("ant",), use="mnist", path="images") == (
        "data.training.use: must be data with truths of kind 'boxes', which task 'held' needs,"
        " got 'mnist', which has 'class'"
    )
