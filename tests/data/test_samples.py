import re
from collections.abc import Iterable

import numpy as np
import pytest

from edgeprep.data import Samples, Skipped
from edgeprep.errors import DataError
from edgeprep.tasks.classify import Classify

PICTURE = np.zeros((4, 6, 3), np.uint8)


def samples(
    items: Iterable[object], *, labels: tuple[str, ...] | None = None, limit: int | None = None
) -> Samples:
    held = list(items)
    task = None if labels is None else Classify(labels=labels)
    return Samples(
        lambda: held, where="data.evaluation", description="a list", task=task, limit=limit
    )


def error(of: Samples) -> str:
    with pytest.raises(DataError, match=r"^data\.evaluation: ") as caught:
        list(of)
    return str(caught.value)


def broken(count: int) -> list[Skipped]:
    return [Skipped(name=f"{index}.png", reason="cut short") for index in range(count)]


def test_pictures_come_with_their_labels_in_order() -> None:
    grey = np.zeros((1, 1, 1), np.uint8)
    found = list(samples([(PICTURE, 1), (grey, np.int64(0))], labels=("a", "b")))
    assert [label for _, label in found] == [1, 0]
    assert found[0][0] is PICTURE
    assert found[1][0] is grey


def test_pictures_alone_have_no_label() -> None:
    assert [label for _, label in samples([PICTURE, (PICTURE, None)])] == [None, None]


def test_every_iteration_reads_anew() -> None:
    read = samples([PICTURE] * 10 + broken(1))
    assert len(list(read)) == len(list(read)) == 10
    assert read.skipped == (Skipped(name="0.png", reason="cut short"),)


def test_the_limit_counts_what_can_be_read() -> None:
    read = samples([*broken(1), *[PICTURE] * 30], limit=20)
    assert len(list(read)) == 20
    assert len(read.skipped) == 1


def test_the_limit_excuses_classes_that_were_not_reached() -> None:
    assert len(list(samples([(PICTURE, 0), (PICTURE, 1)], labels=("a", "b"), limit=1))) == 1


def test_one_in_ten_may_be_unreadable() -> None:
    assert len(list(samples([PICTURE] * 9 + broken(1)))) == 9


def test_more_than_one_in_ten_may_not() -> None:
    assert error(samples([PICTURE] * 17 + broken(2))) == (
        "data.evaluation: at most 10% and 100 pictures may be unreadable, got 2 of 19;"
        " the first is '0.png': cut short"
    )


def test_more_than_a_hundred_unreadable_end_the_reading() -> None:
    def read() -> Iterable[object]:
        yield from broken(101)
        pytest.fail("read on")

    endless = Samples(read, where="data.evaluation", description="")
    assert error(endless) == (
        "data.evaluation: at most 10% and 100 pictures may be unreadable, got 101;"
        " the first is '0.png': cut short"
    )


@pytest.mark.parametrize(
    ("items", "end"),
    [([], ""), (broken(3), "; the first is '0.png': cut short")],
    ids=["empty", "none readable"],
)
def test_no_picture_is_an_error(items: list[object], end: str) -> None:
    assert error(samples(items)) == f"data.evaluation: must have at least one picture, got 0{end}"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"picture": 1},
            "sample 1 must be a picture or (picture, label), got <class 'dict'>",
        ),
        ((PICTURE, 0, 0), "sample 1 must be a picture or (picture, label), got <class 'tuple'>"),
        (
            ("a.png", 0),
            "the picture of sample 1 must be a uint8 array (height, width, 3 or 1), got 'a.png'",
        ),
        (
            (PICTURE.astype(np.float32), 0),
            (
                "the picture of sample 1 must be a uint8 array (height, width, 3 or 1),"
                " got float32 (4, 6, 3)"
            ),
        ),
        (
            (PICTURE.transpose(2, 0, 1), 0),
            (
                "the picture of sample 1 must be a uint8 array (height, width, 3 or 1),"
                " got uint8 (3, 4, 6)"
            ),
        ),
        (
            (PICTURE[..., 0], 0),
            (
                "the picture of sample 1 must be a uint8 array (height, width, 3 or 1),"
                " got uint8 (4, 6)"
            ),
        ),
        (
            (PICTURE[:0], 0),
            (
                "the picture of sample 1 must be a uint8 array (height, width, 3 or 1),"
                " got uint8 (0, 6, 3)"
            ),
        ),
        ((PICTURE, "cat"), "the label of sample 1 must be a whole number, got 'cat'"),
        ((PICTURE, True), "the label of sample 1 must be a whole number, got True"),
        ((PICTURE, 1.0), "the label of sample 1 must be a whole number, got 1.0"),
        ((PICTURE, None), "the label of sample 1 must be a whole number, got None"),
        (PICTURE, "the label of sample 1 must be a whole number, got None"),
        ((PICTURE, 2), "the label of sample 1 must be in 0..1, got 2; the task has 2 labels"),
        ((PICTURE, -1), "the label of sample 1 must be in 0..1, got -1; the task has 2 labels"),
    ],
    ids=re.sub(
        r"\W+", " ", "dict triple path float chw flat empty text bool real none bare high low"
    ).split(),
)
def test_a_wrong_sample_is_named_by_its_number(item: object, message: str) -> None:
    assert error(samples([(PICTURE, 0), item], labels=("a", "b"))) == f"data.evaluation: {message}"


def test_a_class_without_pictures_is_an_error() -> None:
    assert error(samples([(PICTURE, 0), (PICTURE, 2)], labels=("ant", "bee", "cow"))) == (
        "data.evaluation: must have pictures of all 3 classes, got 2; there is none of 'bee'"
    )
    assert error(samples([(PICTURE, 4)], labels="abcdef")) == (
        "data.evaluation: must have pictures of all 6 classes, got 1; there is none of 'a', 'b', "
        "'c' and 2 more"
    )


def test_nothing_is_read_that_nobody_asked_for() -> None:
    asked = []

    def read() -> Iterable[object]:
        for index in range(6):
            asked.append(index)
            yield PICTURE

    limited = Samples(read, where="data.evaluation", description="", limit=5, total=6)
    assert len(list(limited)) == 5
    assert asked == [*range(5)]


def test_what_comes_after_the_limit_counts_for_nothing() -> None:
    assert len(list(samples([PICTURE] * 5 + broken(1), limit=5))) == 5


def test_another_share_may_be_unreadable_of_any_number() -> None:
    def read_as(share: float, count: int) -> Samples:
        items = [*[PICTURE] * 200, *broken(count)]
        return Samples(lambda: items, where="data.evaluation", description="", unreadable=share)

    assert len(list(read_as(0.5, 200))) == 200
    assert error(read_as(0.5, 201)) == (
        "data.evaluation: at most 50.0% of pictures may be unreadable, got 201 of 401;"
        " the first is '0.png': cut short"
    )
    assert error(read_as(0.0, 1)).startswith("data.evaluation: at most 0.0% of pictures")


def test_why_each_one_is_left_out_is_said_to_whoever_listens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="edgeprep")
    list(samples([*broken(2), *[PICTURE] * 30]))
    assert [record.getMessage() for record in caplog.records] == [
        "data.evaluation: 0.png is left out: cut short",
        "data.evaluation: 1.png is left out: cut short",
    ]
