import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeprep.data import Samples
from edgeprep.truths import Boxes

LABELS = ("cat", "dog")

OpenData = Callable[..., Samples]
Draw = Callable[..., Path]
Write = Callable[[str, str], dict[str, object]]


@pytest.fixture
def write(tmp_path: Path, draw: Draw) -> Write:
    """Writes a list beside pictures a.png, b.png and c.png of levels 1, 2 and 3."""
    for level, name in enumerate("abc", 1):
        draw(f"set/{name}.png", level=level)

    def write_it(name: str, content: str) -> dict[str, object]:
        (tmp_path / "set" / name).write_bytes(content.encode())
        return {"use": "list", "path": f"set/{name}"}

    return write_it


def read(samples: Samples) -> list[tuple[int, object]]:
    return [(int(picture[0, 0, 0]), truth) for picture, truth in samples]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", "picture,label\nc.png,dog\na.png,cat\n"),
        ("l.CSV", '\ufefflabel,picture,remark\r\ndog,c.png,\r\n\r\ncat,a.png,"x, ""y""\nz"\r\n'),
        ("l.csv", "picture,label\nc.png,1\na.png,0"),
        ("l.tsv", "picture\tlabel\nc.png\tdog\na.png\tcat\n"),
        ("l.jsonl", '{"picture": "c.png", "label": "dog"}\n\n{"label": 0, "picture": "a.png"}\n'),
        (
            "l.ndjson",
            '\ufeff{"picture": "c.png", "label": 1}\r\n{"picture": "a.png", "label": "cat"}',
        ),
    ],
    ids=["CSV", "BOM, CRLF and quotes", "numbers", "TSV", "JSONL", "NDJSON"],
)
def test_pictures_come_in_the_order_of_the_list(
    open_data: OpenData, write: Write, name: str, content: str
) -> None:
    assert read(open_data("class", LABELS, **write(name, content))) == [(3, 1), (1, 0)]


def test_columns_may_have_other_names(open_data: OpenData, write: Write, tmp_path: Path) -> None:
    table = write("l.csv", "file,id,breed\na,0,dog\nset/b.png,1,cat\n")
    (tmp_path / "set" / "a.png").rename(tmp_path / "a")
    keys = {"picture": "file", "label": "breed", "pictures": "."}
    assert read(open_data("class", LABELS, **table, **keys)) == [(1, 1), (2, 0)]


def test_several_classes(open_data: OpenData, write: Write) -> None:
    content = "picture,label\na.png,dog;cat\nb.png,\nc.png, dog \n"
    found = open_data("classes", LABELS, **write("l.csv", content))
    present = [truth.present.tolist() for _, truth in found]  # type: ignore[union-attr]
    assert present == [[True, True], [False, False], [False, True]]


def test_several_classes_in_json(open_data: OpenData, write: Write) -> None:
    content = '{"picture": "a.png", "label": ["dog", 0]}\n{"picture": "b.png", "label": []}\n'
    found = open_data("classes", LABELS, **write("l.jsonl", content))
    present = [truth.present.tolist() for _, truth in found]  # type: ignore[union-attr]
    assert present == [[True, True], [False, False]]


def test_boxes_in_json(open_data: OpenData, write: Write) -> None:
    rows = [
        {"picture": "a.png", "label": ["dog", "cat"], "boxes": [[0, 1, 3, 4.5], [1, 1, 8, 6]]},
        {"picture": "b.png", "label": [], "boxes": []},
    ]
    table = write("l.jsonl", "\n".join(map(json.dumps, rows)))
    (_, first), (_, second) = open_data("boxes", LABELS, **table)
    assert isinstance(first, Boxes)
    assert isinstance(second, Boxes)
    assert first.corners.tolist() == [[0, 1, 3, 4.5], [1, 1, 8, 6]]
    assert first.classes.tolist() == [1, 0]
    assert len(second) == 0


def test_a_limit_draws_evenly_from_the_classes(
    open_data: OpenData, draw: Draw, write: Write
) -> None:
    rows = [f"{number}.png,{'dog' if number < 2 else 'cat'}" for number in range(20)]
    for number in range(20):
        draw(f"set/{number}.png")
    table = write("l.csv", "\n".join(["picture,label", *rows]))
    labels = [truth for _, truth in open_data("class", LABELS, **table, limit=4)]
    assert labels == [1, 0, 1, 0]


def test_numbers_are_names_where_labels_are_numbers(open_data: OpenData, write: Write) -> None:
    found = open_data("class", ("7", "3"), **write("l.csv", "picture,label\na.png,3\nb.png,7\n"))
    assert read(found) == [(1, 1), (2, 0)]


def test_other_names_are_left_out_where_that_is_said(open_data: OpenData, write: Write) -> None:
    content = "picture,label\na.png,dog\nb.png,fish\nc.png,puma\n"
    keys = {"classes": {"puma": "cat"}, "others": "ignore"}
    samples = open_data("class", LABELS, **write("l.csv", content), **keys)
    assert read(samples) == [(1, 1), (3, 0)]
    assert samples.skipped == ()


def test_pictures_alone_need_no_labels(open_data: OpenData, write: Write) -> None:
    assert read(open_data(**write("l.csv", "picture\nb.png\n"))) == [(2, None)]


def test_names_may_be_absolute_and_lead_out_of_the_directory(
    open_data: OpenData, write: Write, draw: Draw, tmp_path: Path
) -> None:
    draw("beside/far.png", level=9)
    content = f"picture\n../beside/far.png\n{tmp_path}/set/b.png\n"
    assert read(open_data(**write("l.csv", content))) == [(9, None), (2, None)]


def test_a_picture_that_cannot_be_read_is_counted(
    open_data: OpenData, write: Write, draw: Draw, tmp_path: Path
) -> None:
    rows = [f"{number}.png,{('dog', 'cat')[number % 2]}" for number in range(10)]
    for number in range(9):
        draw(f"set/{number}.png")
    samples = open_data("class", LABELS, **write("l.csv", "\n".join(["picture,label", *rows])))
    assert len(list(samples)) == 9
    assert [(one.name, one.reason) for one in samples.skipped] == [
        (
            "9.png",
            (
                f"{tmp_path}/set/9.png: must be a file that can be read,"
                " got 'No such file or directory'"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("truth", "name", "content", "message"),
    [
        (
            "class",
            "l.csv",
            "picture,label\na.png,dog\n\nb.png,dogs\n",
            "l.csv:4: class must be a label of the task, got 'dogs'; did you mean 'dog'?",
        ),
        (
            "class",
            "l.csv",
            "picture,label\na.png,2\n",
            "l.csv:2: class must be in 0..1, got 2; the task has 2 labels",
        ),
        (
            "class",
            "l.csv",
            'picture,label\n"a\n.png",dog\na.png,fly\n',
            (
                "l.csv:4: class must be a label of the task, got 'fly';"
                " name its label in classes, or ignore such by others = 'ignore'"
            ),
        ),
        (
            "boxes",
            "l.jsonl",
            f'{{"picture": "a.png", "label": ["dog"], "boxes": [[0, 0, 1, {10**400}]]}}',
            "l.jsonl:1: 'boxes' must be finite numbers, got 'int too large to convert to float'",
        ),
        (
            "class",
            "l.csv",
            "picture,label\na.png,dog\na.png,cat\n",
            "l.csv:3: must list a picture once, got 'a.png', which is in line 2, too",
        ),
        (
            "class",
            "l.csv",
            "picture,label\na.png\n",
            "l.csv:2: must have 2 cells, as the first line, got 1",
        ),
        (
            "class",
            "l.csv",
            "picture,lable\na.png,dog\n",
            (
                "l.csv:1: must have 'label', got ['picture', 'lable'];"
                " label names it where it is called otherwise"
            ),
        ),
        (
            "class",
            "l.jsonl",
            '{"picture": "a.png", "lable": "dog"}',
            (
                "l.jsonl:1: must have 'label', got ['picture', 'lable'];"
                " label names it where it is called otherwise"
            ),
        ),
        (
            "class",
            "l.jsonl",
            (
                '{"picture": "a.png", "label": "dog", "of": {"label": 1}}\n'
                '{"picture": "b.png", "label": "dog", "label": "cat"}'
            ),
            "l.jsonl:2: must have each key once, got 'label' twice",
        ),
        (
            "class",
            "l.jsonl",
            f'{{"picture": "a.png", "label": {"[" * 100_000}{"]" * 100_000}}}',
            (
                "l.jsonl:1: must be a JSON object, got one that fails with"
                " 'maximum recursion depth exceeded while deserializing an object'"
            ),
        ),
        ("class", "l.csv", "", "l.csv:1: must name its columns, each once, got []"),
        (
            "class",
            "l.csv",
            "a,b,a\n",
            "l.csv:1: must name its columns, each once, got ['a', 'b', 'a']",
        ),
        (
            "class",
            "l.csv",
            'picture,label\na.png,"dog\n',
            "l.csv:2: must be CSV, got a line that fails with 'unexpected end of data'",
        ),
        (
            "class",
            "l.csv",
            "picture,label\n,dog\n",
            "l.csv:2: 'picture' must be the name of a picture, got ''",
        ),
        (
            "class",
            "l.jsonl",
            '{"picture": "a.png", "label": 1.0}',
            "l.jsonl:1: class must be a name or a number, got 1.0",
        ),
        (
            "class",
            "l.jsonl",
            '\n{"picture": "a.png",',
            (
                "l.jsonl:2: must be a JSON object, got one that fails with"
                " 'Input data was truncated'"
            ),
        ),
        (
            "class",
            "l.jsonl",
            '["a.png", "dog"]',
            (
                "l.jsonl:1: must be a JSON object, got one that fails with"
                " 'Expected `object`, got `array`'"
            ),
        ),
        (
            "class",
            "l.txt",
            "a.png dog",
            "must end in one of '.csv', '.tsv', '.jsonl', '.ndjson', got 'l.txt'",
        ),
        (
            "boxes",
            "l.csv",
            "picture,label\na.png,dog\n",
            "must be JSONL where boxes are asked for, got 'set/l.csv'",
        ),
        (
            "boxes",
            "l.jsonl",
            '{"picture": "a.png", "label": ["dog"], "boxes": []}',
            "l.jsonl:1: 'boxes' must be an array of 1 boxes, one for each class, got []",
        ),
        (
            "boxes",
            "l.jsonl",
            '{"picture": "a.png", "label": ["dog"], "boxes": [[1, 2, 3, true]]}',
            "l.jsonl:1: box 0 must be four numbers [x0, y0, x1, y1], got [1, 2, 3, True]",
        ),
    ],
    ids=[
        *("no label", "no such number", "after a long cell", "too long", "twice", "a cell too few"),
        *("column", "key", "a key twice", "nested"),
        *("empty", "columns twice", "quotes", "no name", "a fraction", "cut short", "an array"),
        *("ending", "boxes in CSV", "too few boxes", "no box"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_at_once(
    refuse: Callable[..., str], write: Write, truth: str, name: str, content: str, message: str
) -> None:
    assert refuse(truth, LABELS, **write(name, content)) == f"data.training.path: {message}"


def test_a_list_that_is_not_there(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert refuse("class", LABELS, use="list", path="absent.csv") == (
        f"data.training.path: {tmp_path}/absent.csv: must be a file that can be read,"
        " got 'No such file or directory'"
    )


def test_a_list_of_nothing(refuse: Callable[..., str], write: Write) -> None:
    assert refuse("class", LABELS, **write("l.csv", "picture,label\n")) == (
        "data.training: must have at least one picture, got 0"
    )
