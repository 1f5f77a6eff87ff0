"""Files of COCO, held against what pycocotools reads of the same files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from edgeprep.data import Samples
from edgeprep.truths import Boxes, Mask

TABLE: dict[str, object] = {"use": "coco", "path": "instances.json", "pictures": "pictures"}
LABELS = ("person", "dog", "traffic light")
MASKS = ("background", *LABELS)

OpenData = Callable[..., Samples]
Draw = Callable[..., Path]

# What pycocotools 2.0.11 does with NumPy 2 when it decodes, which only these tests have it do.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

# Ids with gaps, as those of COCO; sizes (height, width) of the pictures by their ids.
SIZES = {139: (20, 30), 285: (24, 16), 9: (12, 12)}


def runs(height: int, width: int, *filled: tuple[slice, slice], text: bool) -> dict[str, Any]:
    """The run lengths of rectangles, by pycocotools, as numbers or in its own text."""
    pixels = np.zeros((height, width), np.uint8, order="F")
    for place in filled:
        pixels[place] = 1
    if text:
        encoded = coco_mask.encode(pixels)
        return {"size": encoded["size"], "counts": encoded["counts"].decode()}
    flat = pixels.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, len(flat)]).tolist()
    return {"size": [height, width], "counts": [0, *counts] if flat[0] else counts}


def annotations() -> dict[str, Any]:
    objects: list[dict[str, Any]] = [
        {
            "image_id": 139,
            "category_id": 18,
            "bbox": [2.5, 3.25, 10.0, 8.5],
            "area": 60.5,
            "segmentation": [
                [2.5, 3.25, 12.5, 3.25, 12.5, 11.75, 2.5, 11.75],
                [20, 2, 26, 2, 23, 9],
            ],
        },
        {
            "image_id": 139,
            "category_id": 1,
            "bbox": [4, 4, 5, 5],
            "area": 25,
            "segmentation": runs(20, 30, np.s_[4:9, 4:9], text=False),
        },
        {
            "image_id": 139,
            "category_id": 1,
            "bbox": [0, 0, 14, 20],
            "area": 280,
            "iscrowd": 1,
            "segmentation": runs(20, 30, np.s_[0:20, 0:14], np.s_[3:5, 25:28], text=True),
        },
        {
            "image_id": 285,
            "category_id": 10,
            "bbox": [10.0, 4.0, 6.5, 20.25],
            "area": 100.0,
            "segmentation": runs(24, 16, np.s_[4:24, 10:16], text=True),
        },
    ]
    return {
        "info": {"year": 2017},
        "images": [
            {"id": key, "file_name": f"{key:012}.png", "height": height, "width": width}
            for key, (height, width) in SIZES.items()
        ],
        "annotations": [
            {"id": 100 + index, "iscrowd": 0, **one} for index, one in enumerate(objects)
        ],
        "categories": [
            {"id": 1, "name": "person", "supercategory": "person"},
            {"id": 10, "name": "traffic light", "supercategory": "outdoor"},
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
        ],
    }


@pytest.fixture
def written(tmp_path: Path, draw: Draw) -> Callable[..., Path]:
    """Writes annotations, after a change, and their pictures."""

    def write(change: Callable[[dict[str, Any]], object] = lambda file: None) -> Path:
        file = annotations()
        change(file)
        for image in file["images"]:
            draw(f"pictures/{image['file_name']}", *SIZES.get(image["id"], (4, 4)))
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(file), encoding="utf-8")
        return path

    return write


def test_boxes_are_those_that_pycocotools_reads(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    known = COCO(str(written()))
    samples = list(open_data("boxes", LABELS, **TABLE))
    assert len(samples) == len(known.imgs) == 3
    for (picture, boxes), (key, image) in zip(samples, known.imgs.items(), strict=True):
        assert isinstance(boxes, Boxes)
        assert picture.shape[:2] == (image["height"], image["width"])
        expected = known.loadAnns(known.getAnnIds(imgIds=[key]))
        # The box of picture 285 is half a pixel too wide and a quarter too high for it.
        corners = [
            [x, y, min(x + across, image["width"]), min(y + down, image["height"])]
            for x, y, across, down in (one["bbox"] for one in expected)
        ]
        assert boxes.corners.tolist() == corners
        names = [known.cats[one["category_id"]]["name"] for one in expected]
        assert [LABELS[number] for number in boxes.classes] == names
        assert boxes.crowd.tolist() == [bool(one["iscrowd"]) for one in expected]
        assert boxes.areas.tolist() == [one["area"] for one in expected]


def test_a_picture_without_annotations_has_no_objects(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    written()
    *_, (_, boxes) = open_data("boxes", LABELS, **TABLE)
    assert isinstance(boxes, Boxes)
    assert len(boxes) == 0


def test_no_annotations_at_all(open_data: OpenData, written: Callable[..., Path]) -> None:
    written(lambda file: file["annotations"].clear())
    assert [len(boxes) for _, boxes in open_data("boxes", LABELS, **TABLE)] == [0, 0, 0]  # type: ignore[arg-type]


def test_masks_are_made_of_what_pycocotools_fills(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    known = COCO(str(written()))
    (_, first), (_, second), (_, third) = open_data("mask", MASKS, **TABLE)
    assert isinstance(first, Mask)
    assert isinstance(second, Mask)
    assert isinstance(third, Mask)
    dog, person, crowd = (known.annToMask(known.anns[key]).astype(bool) for key in (100, 101, 102))
    # Crowds count for nobody, but where others are known; the smaller object is on top.
    expected = np.select([person, dog, crowd], [1, 2, 255], 0)
    assert np.array_equal(first.classes, expected)
    assert {*np.unique(expected)} == {0, 1, 2, 255}
    assert np.array_equal(second.classes, known.annToMask(known.anns[103]) * 3)
    assert not third.classes.any()


def test_classes_of_a_picture_are_those_of_its_objects(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    written()
    present = [truth.present.tolist() for _, truth in open_data("classes", LABELS, **TABLE)]  # type: ignore[union-attr]
    assert present == [[True, True, False], [False, False, True], [False, False, False]]


def test_a_byte_order_mark_and_names_in_any_script(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    def rename(file: dict[str, Any]) -> None:
        file["categories"][0]["name"] = "人"
        file["images"][0]["file_name"] = "夏/été №1.PNG"

    path = written(rename)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = open_data("boxes", LABELS, **TABLE, classes={"人": "person"})
    assert [len(boxes) for _, boxes in found] == [3, 1, 0]  # type: ignore[arg-type]


def test_pictures_alone_need_no_annotations(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    def strip(file: dict[str, Any]) -> None:
        del file["annotations"], file["categories"]

    written(strip)
    assert [picture.shape[:2] for picture, _ in open_data(**TABLE)] == [*SIZES.values()]


def test_other_categories_are_left_out_where_that_is_said(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    written()
    found = open_data("boxes", ("dog",), **TABLE, others="ignore")
    assert [len(boxes) for _, boxes in found] == [1, 0, 0]  # type: ignore[arg-type]


def test_other_categories_are_not_background_in_masks(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    written()
    keys = {**TABLE, "others": "ignore"}
    found = [mask.classes for _, mask in open_data("mask", ("background", "dog"), **keys)]  # type: ignore[union-attr]
    everybody = [mask.classes for _, mask in open_data("mask", MASKS, **TABLE)]  # type: ignore[union-attr]
    dog = MASKS.index("dog")
    for mask, whole in zip(found, everybody, strict=True):
        expected = np.where(whole == dog, 1, np.where(whole == 0, 0, 255))
        assert np.array_equal(mask, expected)
    assert 255 in found[1]


def fault(key: str, value: object, index: int = 0, of: str = "annotations") -> Any:
    return lambda file: file[of][index].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: None,
            (
                "annotation 103: category must be a label of the task, got 'traffic light';"
                " name its label in classes, or ignore such by others = 'ignore'"
            ),
        ),
        (
            fault("image_id", 7, 3),
            "annotation 103: image_id must be one of the images, got 7",
        ),
        (
            fault("category_id", 2),
            "annotation 100: category_id must be one of the categories, got 2",
        ),
        (fault("bbox", None), "annotation 100: bbox must be given, got none"),
        (
            lambda file: file["images"].append(file["images"][0]),
            "images must have ids that differ, got 139 twice",
        ),
        (
            lambda file: file["categories"].append(file["categories"][0]),
            "categories must have ids that differ, got 1 twice",
        ),
        (
            fault("bbox", [1, 2, 3]),
            (
                "must be annotations of COCO, got a file that fails with"
                " 'Expected `array` of length 4 - at `$.annotations[0].bbox`'"
            ),
        ),
        (
            lambda file: file.pop("categories"),
            (
                "must be annotations of COCO, got a file that fails with"
                " 'Object missing required field `categories`'"
            ),
        ),
    ],
    ids=[
        *("no label", "no such image", "no such category", "no box", "images", "categories"),
        *("three numbers", "no categories"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_at_once(
    open_data: OpenData,
    refuse: Callable[..., str],
    written: Callable[..., Path],
    change: Any,
    message: str,
) -> None:
    written(change)
    assert refuse("boxes", LABELS[:2], **TABLE) == f"data.training.path: instances.json: {message}"


def test_two_pictures_of_one_name(refuse: Callable[..., str], written: Callable[..., Path]) -> None:
    written(fault("file_name", "000000000139.png", 1, "images"))
    assert refuse("boxes", LABELS, **TABLE) == (
        "data.training.path: names of pictures must differ, got '000000000139.png' twice"
    )


def test_a_file_that_is_no_json(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "instances.json").write_text('{"images": [')
    assert refuse("boxes", LABELS, **TABLE) == (
        "data.training.path: instances.json: must be annotations of COCO,"
        " got a file that fails with 'Input data was truncated'"
    )


def test_masks_need_a_label_for_the_background(
    refuse: Callable[..., str], written: Callable[..., Path]
) -> None:
    written()
    assert refuse("mask", LABELS, **TABLE) == (
        "data.training.background: must be the label of pixels that are in no object,"
        " got 'background', which is none of them"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            fault("segmentation", [[1, 1, 9]]),
            (
                "segmentation must have polygons of two numbers for each of three or more points,"
                " got [1, 1, 9]"
            ),
        ),
        (
            fault("segmentation", [[1, 1, 9, "a", 5, 5]]),
            (
                "segmentation must have polygons of two numbers for each of three or more points,"
                " got [1, 1, 9, 'a', 5, 5]"
            ),
        ),
        (
            fault("segmentation", [[1, 1, 9, 1, 9, 1e9]]),
            "segmentation must have points in its picture of 30×20 pixels, got 1000000000.0",
        ),
        (
            fault("segmentation", runs(4, 4, np.s_[1:2, 1:2], text=False)),
            "segmentation must be of size [20, 30], got [4, 4]",
        ),
        (
            fault("segmentation", {"size": [20, 30], "counts": [5, 6]}),
            "segmentation must have runs of 600 pixels, got 11",
        ),
        (
            fault("segmentation", {"size": [20, 30], "counts": [5, -5, 600]}),
            "segmentation must have runs of 600 pixels, got negative ones",
        ),
        (
            fault("segmentation", {"size": [20, 30], "counts": "a0!"}),
            "segmentation must have counts of COCO, got the character '!'",
        ),
        (
            fault(
                "segmentation",
                {**runs(10, 10, np.s_[3:9, 2:5], text=True), "size": [20, 30]},
            ),
            "segmentation must have runs of 600 pixels, got 100",
        ),
        (
            fault("segmentation", []),
            "segmentation must have an outline where masks are asked for, got none",
        ),
        (
            fault("segmentation", 3),
            "segmentation must be polygons or run lengths, got <class 'int'>",
        ),
    ],
    ids=[
        *("one and a half points", "a text", "far away", "another size", "too few", "negative"),
        *("no such character", "other runs", "none", "a number"),
    ],
)
def test_an_outline_that_makes_no_sense_leaves_its_picture_out(
    open_data: OpenData, written: Callable[..., Path], draw: Draw, change: Any, reason: str
) -> None:
    def more(file: dict[str, Any]) -> None:
        change(file)
        # So many that one may be left out.
        for key in range(1000, 1010):
            file["images"].append({"id": key, "file_name": f"{key}.png"})

    written(more)
    samples = open_data("mask", MASKS, **TABLE)
    assert len(list(samples)) == 12
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("000000000139.png", f"data.training.path: instances.json: annotation 100: {reason}")
    ]


def test_a_box_of_no_size_that_a_number_has_leaves_its_picture_out(
    open_data: OpenData, written: Callable[..., Path]
) -> None:
    def more(file: dict[str, Any]) -> None:
        for key in range(1000, 1010):
            file["images"].append({"id": key, "file_name": f"{key}.png"})
        file["annotations"][0]["bbox"] = [0, 0, 1e308, 1e308]

    written(more)
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 12
    ((name, reason),) = [(one.name, one.reason) for one in samples.skipped]
    assert (name, reason.partition(", got")[0]) == (
        "000000000139.png",
        (
            "data.training: the label of 000000000139.png: box 0 must be inside its picture"
            " of 30×20 pixels"
        ),
    )


def test_two_categories_of_one_name_are_said(
    open_data: OpenData, written: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    written(lambda file: file["categories"].append({"id": 2, "name": "dog"}))
    open_data("boxes", LABELS, **TABLE)
    assert [record.getMessage() for record in caplog.records] == [
        (
            "data.training.path: instances.json: categories should have names that differ,"
            " got 'dog' more than once; they become one class"
        )
    ]


def test_what_does_not_fit_its_picture_is_counted(
    open_data: OpenData, written: Callable[..., Path], tmp_path: Path
) -> None:
    def more(file: dict[str, Any]) -> None:
        for key in range(1000, 1030):
            file["images"].append({"id": key, "file_name": f"{key}.png"})
        file["annotations"][0]["bbox"] = [3, 3, 0, 4]
        file["images"][1]["width"] = 17

    written(more)
    (tmp_path / "pictures" / "1004.png").unlink()
    samples = open_data("boxes", LABELS, **TABLE)
    assert len(list(samples)) == 30
    assert [(one.name, one.reason) for one in samples.skipped] == [
        (
            "000000000139.png",
            (
                "data.training: the label of 000000000139.png: box 0 must be wider and higher"
                " than 0 pixels, got [3.0, 3.0, 3.0, 7.0]"
            ),
        ),
        (
            "000000000285.png",
            (
                "data.training.path: instances.json: image 285: must be about a picture of its"
                " size, 16×24, got 17×24 pixels"
            ),
        ),
        (
            "1004.png",
            (
                f"{tmp_path}/pictures/1004.png: must be a file that can be read,"
                " got 'No such file or directory'"
            ),
        ),
    ]


def test_a_limit_draws_anywhere(open_data: OpenData, written: Callable[..., Path]) -> None:
    written()
    first = {
        len(next(iter(open_data("boxes", LABELS, **TABLE, limit=1, seed=n)))[1]) for n in range(9)
    }  # type: ignore[arg-type]
    assert first == {3, 1, 0}
