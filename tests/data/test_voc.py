"""Pascal VOC, by files that are written as the published ones are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeprep.data import Samples
from edgeprep.truths import Boxes

TABLE: dict[str, object] = {"use": "voc", "path": "VOC2007"}
LABELS = ("cat", "person", "dog")

OpenData = Callable[..., Samples]
Draw = Callable[..., Path]

# The keys, and their order, of an annotation of the development kit.
FILE = """<annotation>
	<folder>VOC2007</folder>
	<filename>{name}.jpg</filename>
	<source>
		<database>The VOC2007 Database</database>
		<annotation>PASCAL VOC2007</annotation>
		<image>flickr</image>
	</source>
	<owner>
		<flickrid>Nobody</flickrid>
	</owner>
	<size>
		<width>{width}</width>
		<height>{height}</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
{objects}</annotation>
"""
OBJECT = """	<object>
		<name>{name}</name>
		<pose>Left</pose>
		<truncated>1</truncated>
		<difficult>{difficult}</difficult>
		<bndbox>
			<xmin>{box[0]}</xmin>
			<ymin>{box[1]}</ymin>
			<xmax>{box[2]}</xmax>
			<ymax>{box[3]}</ymax>
		</bndbox>
		<part>
			<name>head</name>
			<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
		</part>
	</object>
"""


@pytest.fixture
def annotate(tmp_path: Path, draw: Draw) -> Callable[..., Path]:
    """Writes a picture of 20 × 30 pixels and its file, of (name, box, difficult) each."""

    def write(name: str, *objects: tuple[Any, ...], width: int = 30, height: int = 20) -> Path:
        draw(f"VOC2007/JPEGImages/{name}.jpg", 20, 30)
        path = tmp_path / "VOC2007" / "Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        inner = "".join(
            OBJECT.format(name=one[0], box=one[1], difficult=int(len(one) > 2)) for one in objects
        )
        path.write_text(FILE.format(name=name, objects=inner, width=width, height=height))
        return path

    return write


def boxes(samples: Samples) -> list[Boxes]:
    found = [truth for _, truth in samples]
    assert all(isinstance(truth, Boxes) for truth in found)
    return found  # type: ignore[return-value]


def test_boxes_are_of_pixels_that_are_counted_from_one(
    open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    # The whole picture is (1, 1, 30, 20), and one pixel (5, 7, 5, 7).
    annotate("000001", ("dog", (1, 1, 30, 20)), ("person", (5, 7, 5, 7)))
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.corners.tolist() == [[0, 0, 30, 20], [4, 6, 5, 7]]
    assert found.classes.tolist() == [2, 1]
    assert found.crowd.tolist() == [False, False]


def test_boxes_of_tools_that_write_places(
    open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    annotate("000001", ("dog", (0, 0, 30, 20)), ("person", (4.5, 6.25, 5, 7)))
    (found,) = boxes(open_data("boxes", LABELS, **TABLE, corners="exact"))
    assert found.corners.tolist() == [[0, 0, 30, 20], [4.5, 6.25, 5, 7]]


def test_difficult_objects_count_for_nobody(
    open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    annotate("000001", ("dog", (1, 1, 3, 3)), ("dog", (4, 4, 9, 9), "difficult"))
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.crowd.tolist() == [False, True]
    (found,) = boxes(open_data("boxes", LABELS, **TABLE, difficult="keep"))
    assert found.crowd.tolist() == [False, False]


def test_a_class_that_is_difficult_to_see_is_not_said_to_be_there(
    open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    annotate("000001", ("dog", (1, 1, 3, 3)), ("cat", (4, 4, 9, 9), "difficult"))
    ((_, found),) = open_data("classes", LABELS, **TABLE)
    ((_, kept),) = open_data("classes", LABELS, **TABLE, difficult="keep")
    names = [
        {label for label, there in zip(LABELS, one.present, strict=True) if there}  # type: ignore[union-attr]
        for one in (found, kept)
    ]
    assert names == [{"dog"}, {"dog", "cat"}]


def test_a_file_without_objects_is_a_picture_without(
    open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    annotate("000001")
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert len(found) == 0


def test_hidden_files_are_left_alone(open_data: OpenData, annotate: Callable[..., Path]) -> None:
    path = annotate("000001", ("dog", (1, 1, 3, 3)))
    path.with_name("._000001.xml").write_bytes(b"\0\5\26\7")
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 1
    assert samples.skipped == ()


def test_classes_of_a_picture(open_data: OpenData, annotate: Callable[..., Path]) -> None:
    annotate("000001", ("dog", (1, 1, 3, 3)), ("cat", (4, 4, 9, 9)), ("dog", (4, 4, 9, 9)))
    ((_, found),) = open_data("classes", LABELS, **TABLE)
    assert found.present.tolist() == [True, False, True]  # type: ignore[union-attr]


def test_byte_order_mark_crlf_and_extensions_in_upper_case(
    open_data: OpenData, annotate: Callable[..., Path], draw: Draw
) -> None:
    path = annotate("été", ("dog", (1, 1, 3, 3)))
    content = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")
    path.unlink()
    path.with_suffix(".XML").write_bytes(
        b'<?xml version="1.0" encoding="utf-8"?>\r\n' + content[3:]
    )
    picture = path.parents[1] / "JPEGImages" / "été.jpg"
    picture.rename(picture.with_suffix(".JPG"))
    (found,) = boxes(open_data("boxes", LABELS, **TABLE))
    assert found.classes.tolist() == [2]


def test_a_list_of_the_development_kit_names_pictures(
    tmp_path: Path, open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    for name, label in (("000001", "dog"), ("000002", "cat"), ("000003", "person")):
        annotate(name, (label, (1, 1, 3, 3)))
    (tmp_path / "train.txt").write_text("000003\n000001\n")
    found = boxes(open_data("boxes", LABELS, **TABLE, listed_in="train.txt"))
    assert [one.classes.tolist() for one in found] == [[1], [2]]


def test_a_class_that_is_no_label(
    refuse: Callable[..., str], annotate: Callable[..., Path]
) -> None:
    annotate("000001", ("dog", (1, 1, 3, 3)), ("horse", (1, 1, 3, 3)))
    assert refuse("boxes", LABELS, **TABLE) == (
        "data.training.annotations: 000001.xml: object 1: class must be a label of the task,"
        " got 'horse';"
        " name its label in classes, or ignore such by others = 'ignore'"
    )


def test_other_classes_are_left_out_where_that_is_said(
    open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    annotate("000001", ("dog", (1, 1, 3, 3)), ("horse", (1, 1, 3, 3)))
    (found,) = boxes(open_data("boxes", LABELS, **TABLE, others="ignore"))
    assert len(found) == 1


def no_number(path: Path) -> None:
    path.write_text(path.read_text().replace("<xmin>2</xmin>", "<xmin></xmin>"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda path: path.write_text("<annotation>"),
            "{path}: must be XML, got a file that fails with 'no element found: line 1, column 12'",
        ),
        (lambda path: path.write_text("<a/>"), "{path}: must have an 'annotation' of VOC, got 'a'"),
        (
            lambda path: path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>'),
            "{path}: must have no document type, got one",
        ),
        (lambda path: path.write_bytes(b"\n\xff"), "{path}:2: must be UTF-8 text, got b'\\xff'"),
        (
            no_number,
            "data.training.annotations: 05.xml: object 0: bndbox/xmin must be a number, got ''",
        ),
        (lambda path: path.unlink(), "{path.parent}: must have a file for it, got none"),
        (
            lambda path: path.write_text(path.read_text().replace(">30<", ">31<", 1)),
            (
                "data.training.annotations: 05.xml: must be about a picture of its size, 30×20,"
                " got 31×20 pixels"
            ),
        ),
    ],
    ids=[
        "cut short",
        "something else",
        "a document type",
        "no text",
        "no number",
        "absent",
        "size",
    ],
)
def test_a_file_that_cannot_be_read_is_counted(
    open_data: OpenData, annotate: Callable[..., Path], spoil: Any, reason: str
) -> None:
    paths = [annotate(f"{number:02}", ("dog", (2, 2, 3, 3))) for number in range(10)]
    spoil(paths[5])
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 9
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("05.jpg", reason.format(path=paths[5]))
    ]


def test_a_file_without_its_picture_is_counted(
    tmp_path: Path, open_data: OpenData, annotate: Callable[..., Path]
) -> None:
    for number in range(10):
        annotate(f"{number:02}", ("dog", (2, 2, 3, 3)))
    (tmp_path / "VOC2007" / "JPEGImages" / "05.jpg").unlink()
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 9
    assert [(one.name, one.reason) for one in samples.skipped] == [
        (
            "Annotations/05.xml",
            f"{tmp_path}/VOC2007/JPEGImages: must have a picture of its name, got none",
        )
    ]


def test_files_of_other_pictures(refuse: Callable[..., str], annotate: Callable[..., Path]) -> None:
    path = annotate("000001", ("dog", (2, 2, 3, 3)))
    path.rename(path.with_name("a.xml"))
    assert refuse("boxes", LABELS, **TABLE) == (
        "data.training.annotations: must have files that are called as the pictures,"
        " such as '000001.xml', got none of 1"
    )


def test_pictures_alone_need_no_annotations(open_data: OpenData, draw: Draw) -> None:
    draw("VOC2007/JPEGImages/a.jpg")
    assert len(list(open_data(**TABLE))) == 1


@pytest.fixture
def masked(tmp_path: Path, draw: Draw) -> list[list[int]]:
    """Two pictures, of which one has a mask, in a palette as those of VOC."""
    values = [[0, 0, 8], [255, 15, 8]]
    for name in ("000001", "000002"):
        draw(f"VOC2007/JPEGImages/{name}.jpg", 2, 3)
    mask = Image.fromarray(np.array(values, np.uint8), "L").convert("P")
    mask.putdata(np.ravel(values).tolist())
    # The first colours of the kit: black, dark red, dark green.
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [224, 224, 192] * 253)
    path = tmp_path / "VOC2007" / "SegmentationClass" / "000001.png"
    path.parent.mkdir()
    mask.save(path)
    return values


def test_masks_have_the_classes_of_the_challenge(open_data: OpenData, masked: object) -> None:
    # 8 is "cat", 15 is "person", and 255 the border around objects.
    ((_, mask),) = open_data("mask", ("person", "background", "cat"), **TABLE)
    assert mask.classes.tolist() == [[1, 1, 2], [255, 0, 2]]  # type: ignore[union-attr]


def test_classes_of_masks_have_labels(refuse: Callable[..., str], masked: object) -> None:
    assert refuse("mask", ("background", "cat"), **TABLE) == (
        "data.training.masks: 000001.png, row 1, column 1: class must be a label of the task,"
        " got 'person';"
        " name its label in classes, or ignore such by others = 'ignore'"
    )


def in_colours(tmp_path: Path, pixels: list[list[tuple[int, int, int]]]) -> None:
    path = tmp_path / "VOC2007" / "SegmentationClass" / "000001.png"
    Image.fromarray(np.array(pixels, np.uint8), "RGB").save(path)


def test_masks_may_be_in_the_colours_of_the_kit(
    tmp_path: Path, open_data: OpenData, masked: object
) -> None:
    # VOClabelcolormap.m: 8 is (64, 0, 0), 15 (192, 128, 128), 7 (128, 128, 128), 20 (0, 64, 128).
    rows = [
        [(0, 0, 0), (64, 0, 0), (192, 128, 128)],
        [(224, 224, 192), (128, 128, 128), (0, 64, 128)],
    ]
    in_colours(tmp_path, rows)
    labels = ("background", "car", "cat", "person", "tvmonitor")
    ((_, mask),) = open_data("mask", labels, **TABLE)
    assert mask.classes.tolist() == [[0, 2, 3], [255, 1, 4]]  # type: ignore[union-attr]


def test_masks_may_have_their_values_in_three_equal_channels(
    tmp_path: Path, open_data: OpenData, masked: list[list[int]]
) -> None:
    in_colours(tmp_path, [[(value,) * 3 for value in row] for row in masked])
    ((_, mask),) = open_data("mask", ("background", "cat", "person"), **TABLE)
    assert mask.classes.tolist() == [[0, 0, 1], [255, 2, 1]]  # type: ignore[union-attr]


def test_a_colour_that_is_not_of_the_kit(
    tmp_path: Path, refuse: Callable[..., str], masked: object
) -> None:
    in_colours(tmp_path, [[(0, 0, 0), (64, 0, 0), (0, 0, 0)], [(0, 0, 0), (0, 0, 8), (0, 0, 0)]])
    assert refuse("mask", ("background", "cat"), **TABLE) == (
        "data.training.masks: 000001.png, row 1, column 1: must be a colour that stands for"
        " a value, got (0, 0, 8); 'mask-folder' reads colours that classes name"
    )


def test_pictures_without_a_mask_take_part_in_a_split(
    open_data: OpenData, masked: object, draw: Draw, tmp_path: Path
) -> None:
    # Else the sides would be others where masks are asked for, and share pictures.
    mask = tmp_path / "VOC2007" / "SegmentationClass" / "000001.png"
    for number in range(3, 40):
        draw(f"VOC2007/JPEGImages/{number:06}.jpg", 2, 3, level=6 * number)
        if number % 3 == 0:
            mask.with_name(f"{number:06}.png").write_bytes(mask.read_bytes())
    keys = {**TABLE, "held_out": 0.3}
    labels = ("background", "person", "cat")
    training = {picture.tobytes() for picture, _ in open_data(**keys, split="training")}
    held = {
        picture.tobytes() for picture, _ in open_data("mask", labels, **keys, split="validation")
    }
    assert held
    assert not held & training


def test_a_list_may_not_name_a_picture_without_a_mask(
    refuse: Callable[..., str], masked: object, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("000001\n000002\n")
    labels = ("background", "person", "cat")
    assert refuse("mask", labels, **TABLE, listed_in="list.txt") == (
        "data.training.listed_in: list.txt:2: must name a picture of the data, got '000002';"
        " did you mean '000001'?"
    )
