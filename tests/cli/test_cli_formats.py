"""`edgeprep run --format`: results for machines, read by the readers of others."""

import csv
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as masks
from pycocotools.coco import COCO

from edgeprep.cli.running.coco import image_ids, run_lengths
from edgeprep.cli.running.rows import rows_of
from edgeprep.cli.running.sources import FilmFile, PictureFile
from edgeprep.pictures import write_picture

Run = Callable[..., Any]
Make = Callable[..., Path]
Pictures = dict[str, Path]

DETECT = {
    "use": "detect",
    "labels": ["red", "green", "blue"],
    "scores": {"output": 1, "activation": "none"},
}
SEGMENT = {"use": "segment", "labels": ["red", "green", "blue"], "scores": "none"}
# A box of the network's 8×8 pixels in a picture 12 high and 10 wide.
BOX = (1 * 10 / 8, 2 * 12 / 8, 5 * 10 / 8, 6 * 12 / 8)
USAGE = "Usage: edgeprep run [OPTIONS] BUNDLE [SOURCES]...\nTry 'edgeprep run --help' for help.\n\n"


def table(text: str) -> tuple[list[str], list[dict[str, str]]]:
    reader = csv.DictReader(StringIO(text))
    rows = list(reader)
    return list(reader.fieldnames or ()), rows


def test_a_table_has_a_row_for_each_picture(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    ended = edgeprep("run", bundle, *pictures.values(), "--format", "csv")
    head, rows = table(ended.stdout)
    assert (ended.code, head) == (0, ["picture", "frame", "time_s", "label", "score"])
    assert [(row["picture"], row["label"]) for row in rows] == [
        (str(path), label) for label, path in pictures.items()
    ]
    assert [float(row["score"]) for row in rows] == pytest.approx([0.9201] * 3, abs=5e-5)


def test_a_table_has_a_row_for_each_object(
    edgeprep: Run, make_task_bundle: Make, pictures: Pictures, tmp_path: Path
) -> None:
    dark = tmp_path / "dark.png"
    write_picture(dark, np.full((12, 10, 3), 9, np.uint8))
    bundle = make_task_bundle("boxes", **DETECT)
    ended = edgeprep("run", bundle, dark, *pictures.values(), "--format", "csv")
    head, rows = table(ended.stdout)
    assert head == ["picture", "frame", "time_s", "label", "index", "score", "x0", "y0", "x1", "y1"]
    # Nothing is in the dark one.
    assert [*rows.pop(0).values()] == [str(dark), *[""] * 9]
    assert [row["label"] for row in rows] == ["red", "green", "blue"]
    assert [float(rows[1][name]) for name in ("x0", "y0", "x1", "y1")] == pytest.approx(BOX)
    assert float(rows[1]["score"]) == pytest.approx(200 / 255, abs=1e-6)
    assert rows[1]["index"] == "1"


def test_a_table_of_nothing_has_its_first_columns(
    edgeprep: Run, make_task_bundle: Make, tmp_path: Path
) -> None:
    dark = tmp_path / "dark.png"
    write_picture(dark, np.full((12, 10, 3), 9, np.uint8))
    ended = edgeprep("run", make_task_bundle("boxes", **DETECT), dark, "--format", "csv")
    assert (ended.code, ended.stdout) == (0, f"picture,frame,time_s\n{dark},,\n")


def test_a_picture_of_nothing_has_a_row_all_the_same(
    edgeprep: Run, make_task_bundle: Make, pictures: Pictures, tmp_path: Path
) -> None:
    dark, darker = tmp_path / "dark.png", tmp_path / "darker.png"
    for path in (dark, darker):
        write_picture(path, np.full((12, 10, 3), 9, np.uint8))
    words = (dark, pictures["red"], darker, "--format", "csv")
    ended = edgeprep("run", make_task_bundle("boxes", **DETECT), *words)
    rows = list(csv.DictReader(StringIO(ended.stdout)))
    assert [row["picture"] for row in rows] == [str(dark), str(pictures["red"]), str(darker)]
    assert [row["label"] for row in rows] == ["", "red", ""]


def test_a_name_with_commas_and_lines_is_one_cell(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    Path('a "b",\nc.png').write_bytes(pictures["red"].read_bytes())
    ended = edgeprep("run", bundle, 'a "b",\nc.png', "--format", "csv")
    assert table(ended.stdout)[1][0]["picture"] == 'a "b",\nc.png'


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"label": "a", "score": 0.5, "labels": [{"name": "a"}]}, [{"label": "a", "score": 0.5}]),
        ({"labels": [{"name": "a", "index": 0}, {"name": "b", "index": 1}]},
         [{"name": "a", "index": 0}, {"name": "b", "index": 1}]),
        ({"labels": []}, []),
        ({"vector": [0.25, 0.75]}, [{"vector_0": 0.25, "vector_1": 0.75}]),
        ({"size": [2, 3], "shares": {"sky": 0.5}, "runs": [[[0, 3]], [[1, 3]]]},
         [{"size_0": 2, "size_1": 3, "shares.sky": 0.5}]),
        ({"values": [[1.0], [2.0]]}, [{}]),
        ({"objects": [{"box": [1, 2, 3, 4]}]}, [{"x0": 1, "y0": 2, "x1": 3, "y1": 4}]),
    ],
    ids=["classify", "multilabel", "no labels", "embed", "segment", "map", "detect"],
)  # fmt: skip
def test_documents_become_rows(document: Any, rows: Any) -> None:
    assert list(rows_of(document)) == rows


def test_rows_of_other_columns_are_an_error_of_their_picture(
    edgeprep: Run, bundle: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{"a": 1}, {"b": 2}, {"a": 3}])
    monkeypatch.setattr(
        "edgeprep.tasks.classify.Classification.to_json", lambda self: next(answers)
    )
    ended = edgeprep("run", bundle, *pictures.values(), "--format", "csv")
    assert (ended.code, [row["a"] for row in table(ended.stdout)[1]]) == (1, ["1", "3"])
    assert ended.stderr.splitlines()[-1] == (
        "edgeprep: csv: every row must have the columns of the first, ['a'], got ['b']; "
        "--format jsonl takes any"
    )


def test_lines_come_one_by_one(edgeprep: Run, bundle: Path, pictures: Pictures) -> None:
    ended = edgeprep("run", bundle, *pictures.values(), "absent.png", "--format", "jsonl")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.code == 1
    assert [(line["picture"], line["label"]) for line in lines] == [
        (str(path), label) for label, path in pictures.items()
    ]


def loaded(result: str, ids: Sequence[int], tmp_path: Path) -> COCO:
    """The results, as pycocotools reads them beside annotations of these images."""
    path = tmp_path / "results.json"
    path.write_text(result)
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": each, "height": 12, "width": 10} for each in ids],
        "annotations": [],
        "categories": [{"id": each + 1, "name": str(each)} for each in range(3)],
    }
    with redirect_stdout(StringIO()):
        truth.createIndex()
        return truth.loadRes(str(path))


def test_pycocotools_loads_boxes(
    edgeprep: Run, make_task_bundle: Make, pictures: Pictures, tmp_path: Path
) -> None:
    for label, number in (("red", 139), ("green", 285), ("blue", 7)):
        pictures[label] = pictures[label].rename(tmp_path / f"{number:012}.png")
    bundle = make_task_bundle("boxes", **DETECT)
    ended = edgeprep("run", bundle, *pictures.values(), "--format", "coco")
    assert ended.code == 0
    found = loaded(ended.stdout, (7, 139, 285), tmp_path).loadAnns(ids=[1, 2, 3])
    assert [(one["image_id"], one["category_id"]) for one in found] == [(139, 1), (285, 2), (7, 3)]
    left, top, right, bottom = BOX
    for one in found:
        assert one["bbox"] == pytest.approx([left, top, right - left, bottom - top])
        assert one["area"] == pytest.approx((right - left) * (bottom - top))
        assert one["score"] == pytest.approx(200 / 255, abs=1e-6)


def test_ids_of_categories_are_those_of_their_names(
    edgeprep: Run, make_task_bundle: Make, pictures: Pictures, tmp_path: Path
) -> None:
    file = tmp_path / "instances.json"
    # With gaps, as those of COCO, and in another order than the labels.
    categories = [{"id": 90, "name": "blue"}, {"id": 13, "name": "red"}, {"id": 1, "name": "green"}]
    file.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    bundle = make_task_bundle("boxes", **DETECT)
    words = (*pictures.values(), "--format", "coco", "--categories", file)
    found = json.loads(edgeprep("run", bundle, *words).stdout)
    assert list(pictures) == ["red", "green", "blue"]
    assert [one["category_id"] for one in found] == [13, 1, 90]
    file.write_text(json.dumps({"categories": categories[1:]}))
    ended = edgeprep("run", bundle, *words)
    assert (ended.code, ended.stderr.splitlines()[-1]) == (
        1,
        (
            f"edgeprep: --categories: {file}: must have a category for each of the 3 labels,"
            " got none for 'blue'"
        ),
    )


def test_a_picture_has_one_id(edgeprep: Run, make_task_bundle: Make, pictures: Pictures) -> None:
    path = pictures["red"]
    ended = edgeprep("run", make_task_bundle("boxes", **DETECT), path, path, "--format", "coco")
    assert (ended.code, ended.stderr.splitlines()[-1]) == (
        2,
        f"Error: --format coco: a picture must be given once, got {str(path)!r} twice",
    )


# pycocotools knows only the arrays of NumPy 1.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")
def test_pycocotools_loads_masks(edgeprep: Run, make_task_bundle: Make, tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0] = 50
    picture[2:5, 3:8, 2] = 200
    picture[7, 0, 1] = 100
    write_picture("some.png", picture)
    bundle = make_task_bundle("maps", **SEGMENT)
    ended = edgeprep("run", bundle, "some.png", "--format", "coco")
    found = loaded(ended.stdout, (1,), tmp_path).loadAnns(ids=[1, 2])
    # The background, red, is no object.
    assert [(one["image_id"], one["category_id"], one["area"]) for one in found] == [
        (1, 2, 1),
        (1, 3, 15),
    ]
    for one, channel in zip(found, (1, 2), strict=True):
        assert np.array_equal(masks.decode(one["segmentation"]), picture[..., channel] > 0)
    assert [one["score"] for one in found] == pytest.approx([100 / 255, 200 / 255], abs=1e-6)


MASKS = {
    "nothing": np.zeros((5, 7), bool),
    "everything": np.ones((5, 7), bool),
    "one pixel": np.ones((1, 1), bool),
    "first": np.eye(4, dtype=bool),
    "checkerboard": np.indices((6, 9)).sum(axis=0) % 2 == 1,
    "long runs": np.arange(300 * 400).reshape(300, 400) % 70_000 > 40_000,
    "noise": np.random.default_rng(2).random((60, 50)) > 0.5,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_runs_are_those_of_the_reference(mask: Any) -> None:
    assert run_lengths(mask) == masks.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000000000139.jpg", "7.jpg"], [139, 7]),
        (["a.jpg", "7.jpg"], [1, 2]),
        (["07.jpg", "7.jpg"], [1, 2]),
        (["x/7.jpg", "y/7.jpg"], [1, 2]),
        (["٣.jpg"], [1]),
    ],
)
def test_ids_are_the_numbers_of_files_or_their_places(names: list[str], ids: list[int]) -> None:
    assert list(image_ids([PictureFile(name, "") for name in names]).values()) == ids


def test_a_task_without_boxes_and_masks_has_no_place_in_coco(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    ended = edgeprep("run", bundle, pictures["red"], "--format", "coco")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.endswith(
        f"{USAGE}Error: --format coco: must be of a bundle that gives boxes or masks, "
        "got task 'classify'\n"
    )


def test_frames_are_images_of_a_film_alone(
    edgeprep: Run, make_task_bundle: Make, pictures: Pictures, film: Make, tmp_path: Path
) -> None:
    path = film("film.mp4", (200, 0, 0), (0, 0, 200))
    bundle = make_task_bundle("boxes", **DETECT)
    ended = edgeprep("run", bundle, path, "--format", "coco")
    found = loaded(ended.stdout, (1, 2), tmp_path).loadAnns(ids=[1, 2])
    assert [(one["image_id"], one["category_id"]) for one in found] == [(1, 1), (2, 3)]
    ended = edgeprep("run", bundle, path, pictures["red"], "--format", "coco")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.endswith(
        "Error: --format coco: a film must be run alone, as its frames are the images, "
        "got 2 files\n"
    )


def test_a_film_is_one_of_several_files() -> None:
    assert image_ids([FilmFile("a.mp4", "a")]) == {"a.mp4": 1}
