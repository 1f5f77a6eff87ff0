from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeprep.data import Samples

TABLE: dict[str, object] = {"use": "mask-folder", "path": "pictures", "masks": "masks"}
LABELS = ("sky", "road", "car")
# Rows and columns that no turn leaves as they are.
VALUES = [[0, 1, 2], [2, 2, 255]]

OpenData = Callable[..., Samples]
Draw = Callable[..., Path]
Paint = Callable[..., Path]


@pytest.fixture
def paint(tmp_path: Path, draw: Draw) -> Paint:
    """Writes a picture of 2 × 3 pixels and its mask, which Pillow writes."""

    def write(name: str, values: object = VALUES, mode: str = "L", ending: str = ".png") -> Path:
        draw(f"pictures/{name}.jpg", 2, 3)
        path = tmp_path / "masks" / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.array(values, np.uint16 if mode == "I;16" else np.uint8)
        image = Image.fromarray(array)
        if mode == "P":
            image.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1] * 30)
        image.save(path)
        return path

    return write


def masks(samples: Samples) -> list[object]:
    return [truth.classes.tolist() for _, truth in samples]  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_values_are_the_numbers_of_labels(open_data: OpenData, paint: Paint, mode: str) -> None:
    paint("a", VALUES, mode)
    assert masks(open_data("mask", LABELS, **TABLE)) == [VALUES]


def test_grey_that_was_stored_as_colours(open_data: OpenData, paint: Paint) -> None:
    paint("a", np.repeat(np.array(VALUES)[..., None], 3, axis=2))
    assert masks(open_data("mask", LABELS, **TABLE)) == [VALUES]


def test_names_may_be_of_any_script_and_extensions_in_upper_case(
    open_data: OpenData, paint: Paint
) -> None:
    paint("été/夏 №1", ending=".PNG")
    paint("b", ending=".bmp")
    assert len(masks(open_data("mask", LABELS, **TABLE))) == 2


def test_names_that_look_the_same_are(open_data: OpenData, paint: Paint) -> None:
    # As macOS writes them: the accent apart from its letter.
    path = paint("\u00e9")
    path.rename(path.with_name("e\u0301.png"))
    assert masks(open_data("mask", LABELS, **TABLE)) == [VALUES]


def test_values_may_be_mapped_to_labels(open_data: OpenData, paint: Paint) -> None:
    paint("a", [[7, 11, 12], [255, 7, 0]])
    classes = {"7": "road", "11": "car", "12": "car", "255": "sky", "0": "sky"}
    found = open_data("mask", LABELS, **TABLE, classes=classes)
    assert masks(found) == [[[1, 2, 2], [0, 1, 0]]]


def test_white_and_black(open_data: OpenData, paint: Paint) -> None:
    paint("a", [[0, 255, 255], [0, 0, 255]])
    classes = {"0": "sky", "255": "car"}
    assert masks(open_data("mask", LABELS, **TABLE, classes=classes)) == [[[0, 2, 2], [0, 0, 2]]]


@pytest.mark.parametrize("palette", [False, True], ids=["RGB", "palette"])
def test_colours_may_be_mapped_to_labels(open_data: OpenData, paint: Paint, palette: bool) -> None:
    colours = [[(128, 64, 128), (0, 0, 142), (70, 130, 180)], [(0, 0, 142)] * 3]
    path = paint("a", colours)
    if palette:
        Image.open(path).quantize(3, dither=Image.Dither.NONE).save(path)
    classes = {"#804080": "road", "0, 0,142": "car", "#4682B4": "sky"}
    found = open_data("mask", LABELS, **TABLE, classes=classes)
    assert masks(found) == [[[1, 2, 0], [2, 2, 2]]]


def test_others_are_not_asked_for_where_that_is_said(open_data: OpenData, paint: Paint) -> None:
    paint("a", [[7, 1, 99], [0, 0, 0]])
    found = open_data("mask", LABELS, **TABLE, others="ignore", classes={"7": "car", "0": "sky"})
    assert masks(found) == [[[2, 255, 255], [0, 0, 0]]]


def test_names_with_endings_of_their_own(open_data: OpenData, draw: Draw, paint: Paint) -> None:
    # As in Cityscapes, where other files of the same picture lie beside.
    path = paint("city/a_leftImg8bit")
    path.rename(path.with_name("a_gtFine_labelIds.png"))
    draw("masks/city/a_gtFine_color.png")
    keys = {**TABLE, "ending": "_leftImg8bit", "mask_ending": "_gtFine_labelIds"}
    samples = open_data("mask", LABELS, **keys)
    assert masks(samples) == [VALUES]
    assert samples.skipped == ()


def test_pictures_alone_need_no_masks(open_data: OpenData, draw: Draw) -> None:
    draw("pictures/a.png")
    assert len(list(open_data(**TABLE))) == 1


def test_what_does_not_fit_is_counted(
    open_data: OpenData, paint: Paint, draw: Draw, tmp_path: Path
) -> None:
    for number in range(40):
        paint(f"{number:02}")
    (tmp_path / "masks" / "03.png").unlink()
    (tmp_path / "pictures" / "05.jpg").unlink()
    Image.fromarray(np.zeros((3, 2), np.uint8)).save(tmp_path / "masks" / "07.png")
    (tmp_path / "masks" / "09.png").write_bytes(b"")
    samples = open_data("mask", LABELS, **TABLE)
    assert len(list(samples)) == 36
    assert {one.name: one.reason for one in samples.skipped} == {
        "03.jpg": f"{tmp_path}/masks: must have a file for it, got none called '03'",
        "05.png": f"{tmp_path}/pictures: must have a picture for it, got none of its name",
        "07.jpg": (
            "data.training: the label of 07.jpg must be a mask of the size of its picture, (2, 3),"
            " got (3, 2)"
        ),
        "09.jpg": (
            f"{tmp_path}/masks/09.png: must be a JPEG, PNG, WEBP or BMP file,"
            " got one that starts with b''"
        ),
    }


@pytest.mark.parametrize(
    ("values", "keys", "message"),
    [
        (
            [[0, 0, 0], [0, 3, 0]],
            {},
            "a.png, row 1, column 1: value must be in 0..2, got 3; the task has 3 labels",
        ),
        (
            [[0, 0, 5], [0, 5, 0]],
            {"classes": {"0": "sky"}},
            (
                "a.png, row 0, column 2: value must be a label of the task, got '5';"
                " name its label in classes, or ignore such by others = 'ignore'"
            ),
        ),
        (
            [[(1, 2, 3)] * 3, [(1, 2, 3), (9, 8, 7), (1, 2, 3)]],
            {"classes": {"#010203": "sky"}},
            (
                "a.png, row 1, column 1: colour must be a label of the task, got '(9, 8, 7)';"
                " name its label in classes, or ignore such by others = 'ignore'"
            ),
        ),
        (
            [[(1, 2, 3)] * 3] * 2,
            {},
            (
                "a.png: must be of a palette or in grey where classes are values,"
                " got the colour (1, 2, 3); 'mask-folder' reads colours that classes name"
            ),
        ),
    ],
    ids=["no label", "not in the map", "no such colour", "colours"],
)
def test_a_value_without_a_label_is_an_error(
    refuse: Callable[..., str], paint: Paint, values: object, keys: dict[str, object], message: str
) -> None:
    paint("a", values)
    assert refuse("mask", LABELS, **TABLE, **keys) == f"data.training.masks: {message}"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            {"road": "road"},
            (
                "classes.road: must begin with a value or a colour, such as '7' or '#804080',"
                " got 'road'"
            ),
        ),
        (
            {"1, 2, 256": "road"},
            (
                "classes.\"1, 2, 256\": must begin with a value or a colour, such as '7' or"
                " '#804080', got '1, 2, 256'"
            ),
        ),
        (
            {"7": "road", "#804080": "road"},
            (
                'classes."#804080": must be a value as the others, or all must be colours,'
                " got '#804080'"
            ),
        ),
        ({"7": "street"}, "classes.7: must be a label of the task, got 'street'"),
    ],
    ids=["a name", "no colour", "both", "no label"],
)
def test_classes_that_cannot_be_are_refused(
    refuse: Callable[..., str], paint: Paint, classes: dict[str, str], message: str
) -> None:
    paint("a")
    found = refuse("mask", LABELS, **TABLE, classes=classes)
    assert found.startswith(f"data.training.{message}")


def test_masks_of_other_pictures(refuse: Callable[..., str], paint: Paint) -> None:
    path = paint("a")
    path.rename(path.with_name("a_mask.png"))
    assert refuse("mask", LABELS, **TABLE) == (
        "data.training.masks: must have files that are called as the 1 pictures, such as 'a',"
        " got none; the first here is 'a_mask.png'"
    )


def test_two_masks_of_one_picture(refuse: Callable[..., str], paint: Paint) -> None:
    paint("a")
    paint("a", ending=".bmp")
    assert refuse("mask", LABELS, **TABLE) == (
        "data.training.masks: names without their extensions must differ, got 'a.bmp' and 'a.png'"
    )


def test_an_ending_that_no_picture_has(
    refuse: Callable[..., str], paint: Paint, tmp_path: Path
) -> None:
    paint("a")
    assert refuse("mask", LABELS, **TABLE, ending="_left") == (
        "data.training.path: must have pictures whose names end in '_left',"
        f" got none in '{tmp_path}/pictures'"
    )


def test_masks_of_0_and_255_say_what_255_is(refuse: Callable[..., str], paint: Paint) -> None:
    paint("a", [[0, 255, 0], [255, 255, 255]])
    assert refuse("mask", ("sky", "road"), **TABLE) == (
        "data.training: masks must have pixels of more labels than one, beside 255, which is none,"
        " got 'sky' alone; is 255 a label? classes = { 255 = 'road', … }"
    )


def test_labels_that_no_mask_has_are_named_once(
    open_data: OpenData, paint: Paint, caplog: pytest.LogCaptureFixture
) -> None:
    paint("a", [[0, 1, 0], [1, 1, 1]])
    samples = open_data("mask", LABELS, **TABLE)
    assert len([*samples, *samples]) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "data.training: there is none of 'car'"
    ]
