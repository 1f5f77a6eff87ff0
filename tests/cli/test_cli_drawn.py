"""`edgeprep run -o`: what results look like, of folders, and all on one sheet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprep.marks import color_of
from edgeprep.pictures import read_picture, write_picture

Run = Callable[..., Any]
Make = Callable[..., Path]
Pictures = dict[str, Path]

DETECT = {
    "use": "detect",
    "labels": ["red", "green", "blue"],
    "scores": {"output": 1, "activation": "none"},
}
SEGMENT = {"use": "segment", "labels": ["red", "green", "blue"], "scores": "none"}
USAGE = "Usage: edgeprep run [OPTIONS] BUNDLE [SOURCES]...\nTry 'edgeprep run --help' for help.\n\n"


def test_boxes_are_drawn_where_they_are(
    edgeprep: Run, make_task_bundle: Make, pictures: Pictures
) -> None:
    ended = edgeprep("run", make_task_bundle("boxes", **DETECT), pictures["blue"], "-o", "drawn")
    assert ended.code == 0
    drawn = read_picture("drawn/blue.png")
    # 12 by 10 pixels, 24 times as large; the box is that of the network's pixels 1 to 5 of 8.
    assert drawn.shape == (288, 240, 3)
    middle = (drawn[150] == color_of(2)).all(axis=1)
    assert np.flatnonzero(middle).tolist() == [30, 149]
    assert drawn[150, 200].tolist() == [0, 0, 200]
    # Its label is above it, inside the picture.
    assert (drawn[56:70, 40:90] == 0).all(axis=2).any()


def test_classes_of_pixels_are_laid_over_the_picture(edgeprep: Run, make_task_bundle: Make) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0] = 100
    picture[:, 4:] = (0, 0, 100)
    write_picture("some.png", picture)
    edgeprep("run", make_task_bundle("maps", **SEGMENT), "some.png", "-o", "drawn")
    drawn = read_picture("drawn/some.png")
    assert drawn.shape == (8, 8, 3)
    assert (drawn[:, :4] == (100, 0, 0)).all()
    # Half of it the colour of the class "blue", within a level.
    mixed = (np.array(color_of(2)) + np.array((0, 0, 100))) / 2
    assert np.abs(drawn[:, 4:] - mixed).max() <= 1


def test_a_restored_picture_stands_beside_the_first(edgeprep: Run, make_task_bundle: Make) -> None:
    picture = np.full((8, 8, 3), 50, np.uint8)
    write_picture("some.png", picture)
    edgeprep("run", make_task_bundle("negative", use="restore"), "some.png", "-o", "drawn")
    drawn = read_picture("drawn/some.png")
    assert (drawn[:8, :8] == 50).all()
    assert (drawn[:8, 12:20] == 205).all()


@pytest.fixture
def folder(pictures: Pictures) -> Path:
    """Pictures in a folder and the folder in it; some of it is no picture."""
    root = pictures["red"].parent
    (root / "more").mkdir()
    pictures["blue"].rename(root / "more" / "blue.png")
    (root / "notes.txt").write_text("hello")
    (root / ".hidden.png").write_bytes(b"hello")
    return root


def test_of_a_folder_all_pictures_are_run_by_name(
    edgeprep: Run, bundle: Path, folder: Path
) -> None:
    ended = edgeprep("run", bundle, folder, "-o", "drawn")
    assert ended.code == 0
    rows = [line.split() for line in ended.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows] == [
        [str(folder / "green.png"), "green"],
        [str(folder / "more" / "blue.png"), "blue"],
        [str(folder / "red.png"), "red"],
    ]
    drawn = sorted(path.as_posix() for path in Path("drawn").rglob("*.png"))
    assert drawn == ["drawn/green.png", "drawn/more/blue.png", "drawn/red.png"]


def test_a_broken_picture_of_a_folder_is_named_and_the_others_are_run(
    edgeprep: Run, bundle: Path, folder: Path
) -> None:
    (folder / "more" / "bad.jpg").write_bytes(b"hello")
    ended = edgeprep("run", bundle, folder)
    assert (ended.code, len(ended.stdout.splitlines())) == (1, 4)
    assert ended.stderr.splitlines()[-1] == (
        f"edgeprep: {folder}/more/bad.jpg: must be a JPEG, PNG, WEBP or BMP file, "
        "got one that starts with b'hello'"
    )


def test_a_folder_without_pictures_is_an_error(edgeprep: Run, bundle: Path) -> None:
    Path("empty").mkdir()
    ended = edgeprep("run", bundle, "empty")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: empty: must have pictures in it or in its folders, got none\n"
    )


def test_all_pictures_come_on_one_sheet(edgeprep: Run, bundle: Path, folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"hello")
    ended = edgeprep("run", bundle, folder, "-o", "drawn", "--sheet")
    assert ended.code == 1
    sheet = read_picture("drawn/sheet.png")
    # Four cells of 192 pixels and twice 8, of which that of the broken picture stays empty.
    assert sheet.shape == (250, 4 * 208, 3)
    assert [sheet[60, 208 * cell + 104].tolist() for cell in range(4)] == [
        [0, 200, 0],
        [0, 0, 200],
        [200, 0, 0],
        [24, 24, 24],
    ]
    for cell in range(3):
        assert sheet[204:, 208 * cell : 208 * cell + 200].max() > 200


def test_many_pictures_come_on_several_sheets(edgeprep: Run, bundle: Path) -> None:
    Path("many").mkdir()
    for index in range(101):
        write_picture(f"many/{index:03}.png", np.full((4, 4, 3), (200, index, 0), np.uint8))
    ended = edgeprep("run", bundle, "many", "-o", "drawn", "--sheet")
    assert ended.code == 0
    sizes = {path.name: read_picture(path).shape[:2] for path in Path("drawn").glob("sheet*.png")}
    assert sizes == {"sheet-1.png": (10 * 250, 10 * 208), "sheet-2.png": (250, 208)}


def test_a_sheet_needs_a_place(edgeprep: Run, bundle: Path, pictures: Pictures) -> None:
    ended = edgeprep("run", bundle, pictures["red"], "--sheet")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (f"{USAGE}Error: --sheet: needs -o, a directory to write to, got none\n")


def test_a_sheet_is_of_pictures(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("run", bundle, "film.mp4", "-o", "drawn", "--sheet")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == f"{USAGE}Error: --sheet: needs pictures, got films alone\n"


def test_a_sheet_that_is_there_is_kept_before_any_work(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    Path("drawn").mkdir()
    Path("drawn/sheet.png").write_bytes(b"precious")
    ended = edgeprep("run", bundle, pictures["red"], "-o", "drawn", "--sheet")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: drawn/sheet.png: already exists; pass --overwrite to replace it\n"
    )
    assert [path.name for path in Path("drawn").iterdir()] == ["sheet.png"]
