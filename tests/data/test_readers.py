import re
from pathlib import Path

import numpy as np
import pytest

from edgeprep.data import FromFactory, ImageFolder, Random, build_reader
from edgeprep.data.readers import READERS
from edgeprep.errors import DataError, EdgePrepError, RecipeError
from edgeprep.tasks.classify import Classify

WHERE = "data.calibration"


def refuse(table: dict[str, object]) -> str:
    with pytest.raises(RecipeError, match=re.escape(WHERE)) as caught:
        build_reader(table, WHERE)
    return str(caught.value)


def test_use_names_the_reader() -> None:
    table = {"use": "image-folder", "path": "train", "limit": 8, "seed": 3}
    assert build_reader(table, WHERE) == ImageFolder(path="train", limit=8, seed=3)


def test_a_factory_needs_no_use() -> None:
    table = {"factory": "data:read", "arguments": {"part": "a"}}
    assert build_reader(table, WHERE) == FromFactory(factory="data:read", arguments={"part": "a"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"path": "train"},
            "data.calibration: must have the key 'use' or 'factory', got {'path': 'train'}",
        ),
        (
            {"use": "image-foldr", "path": "train"},
            (
                "data.calibration.use: must name a kind of data, got 'image-foldr';"
                " did you mean 'image-folder'?"
            ),
        ),
        (
            {"use": 3},
            (
                "data.calibration.use: must name a kind of data, got 3;"
                f" known are {', '.join(map(repr, READERS))}"
            ),
        ),
        (
            {"use": "image-folder", "path": "train", "limt": 8},
            "data.calibration.limt: unknown key; did you mean 'limit'?",
        ),
        (
            {"use": "image-folder", "path": "train", "limit": 0},
            "data.calibration.limit: must be at least 1, got 0",
        ),
        ({"use": "random"}, "data.calibration.samples: required key is missing"),
    ],
    ids=["neither", "near miss", "no name", "unknown key", "range", "required"],
)
def test_a_wrong_table_is_refused_before_anything_is_read(
    table: dict[str, object], message: str
) -> None:
    assert refuse(table) == message


def test_random_pictures_are_repeatable_and_say_what_they_are(tmp_path: Path) -> None:
    reader = build_reader({"use": "random", "samples": 3, "size": [2, 5]}, WHERE)
    read = reader.open(directory=tmp_path, where=WHERE)
    first, again = list(read), list(read)
    assert [picture.shape for picture, _ in first] == [(2, 5, 3)] * 3
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], first[1][0])
    assert read.description == "random noise (3 pictures)"


def test_random_pictures_cannot_evaluate(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^data\.evaluation\.use: must be data with labels, got 'random'$"
    ):
        Random(samples=3).open(
            directory=tmp_path, where="data.evaluation", task=Classify(labels=("a", "b"))
        )


def from_factory(directory: Path, body: str, **keys: object) -> FromFactory:
    head = "import numpy as np\npicture = np.zeros((2, 3, 3), np.uint8)\n"
    (directory / "data.py").write_text(f"{head}def read(last=1):\n    {body}\n")
    reader = build_reader({"factory": "data:read", **keys}, WHERE)
    assert isinstance(reader, FromFactory)
    return reader


def test_a_factory_is_called_with_its_arguments(tmp_path: Path) -> None:
    body = "return [(picture, label) for label in range(last + 1)]"
    reader = from_factory(tmp_path, body, arguments={"last": 2}, limit=2)
    read = reader.open(directory=tmp_path, where=WHERE)
    assert [label for _, label in read] == [0, 1]
    assert read.description == "samples from data:read"


def test_a_generator_can_be_read_twice(tmp_path: Path) -> None:
    reader = from_factory(tmp_path, "yield picture, 0; yield picture, 1")
    read = reader.open(directory=tmp_path, where=WHERE, task=Classify(labels=("a", "b")))
    assert [label for _, label in read] == [label for _, label in read] == [0, 1]


@pytest.mark.parametrize(
    ("body", "keys", "message"),
    [
        (
            "raise OSError('no disk')",
            {},
            (
                "data.calibration.factory: 'data:read' must give its samples without an error,"
                " got OSError: no disk (data.py:4)"
            ),
        ),
        (
            "yield picture, 0; 1 / 0",
            {},
            (
                "data.calibration.factory: 'data:read' must give its samples without an error,"
                " got ZeroDivisionError: division by zero (data.py:4)"
            ),
        ),
        (
            "return []",
            {"arguments": {"lst": 2}},
            (
                "data.calibration.factory: 'data:read' must give its samples without an error,"
                " got TypeError: read() got an unexpected keyword argument 'lst'"
            ),
        ),
        (
            "raise SystemExit(0)",
            {},
            (
                "data.calibration.factory: 'data:read' must give its samples without an error,"
                " got SystemExit: 0 (data.py:4)"
            ),
        ),
        (
            "return 3",
            {},
            (
                "data.calibration.factory: 'data:read' must give pictures or"
                " (picture, label) pairs, got 3"
            ),
        ),
        ("return []", {}, "data.calibration: must have at least one picture, got 0"),
    ],
    ids=["raises", "raises later", "arguments", "exits", "gives a number", "gives nothing"],
)
def test_a_factory_that_gives_no_samples_is_named(
    tmp_path: Path, body: str, keys: dict[str, object], message: str
) -> None:
    read = from_factory(tmp_path, body, **keys).open(directory=tmp_path, where=WHERE)
    with pytest.raises(DataError, match=r"^data\.calibration") as caught:
        list(read)
    assert str(caught.value) == message


def test_the_error_of_a_factory_is_chained(tmp_path: Path) -> None:
    read = from_factory(tmp_path, "1 / 0").open(directory=tmp_path, where=WHERE)
    with pytest.raises(DataError, match="division by zero") as caught:
        list(read)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_factory_that_is_not_there_is_found_before_reading(tmp_path: Path) -> None:
    reader = build_reader({"factory": "absent_module:read"}, WHERE)
    with pytest.raises(EdgePrepError, match=r"^data\.calibration\.factory: no module 'absent_mod"):
        reader.open(directory=tmp_path, where=WHERE)
