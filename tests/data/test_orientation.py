"""Pictures that EXIF turns, and what boxes and masks are then about."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeprep.data import Samples

OpenData = Callable[..., Samples]

LABELS = ("sky", "road")
TABLES: dict[str, tuple[str, dict[str, object]]] = {
    "coco": ("boxes", {"path": "i.json", "pictures": "images"}),
    "voc": ("boxes", {"path": ".", "pictures": "images", "corners": "exact"}),
    "yolo": ("boxes", {"path": "images"}),
    "list": ("boxes", {"path": "l.jsonl", "pictures": "images"}),
    "mask-folder": ("mask", {"path": "images", "masks": "masks"}),
}


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """A picture of 20 × 40 with white in its first quarter, upside down by EXIF; and its labels."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("images", "masks", "labels", "Annotations"):
        (tmp_path / name).mkdir()
    for number in range(20):
        # One of twenty, that it may be left out.
        turned = {"exif": exif} if number == 0 else {}
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png", **turned)  # type: ignore[arg-type]
        Image.fromarray(pixels[..., 0] // 255).save(tmp_path / f"masks/{number}.png")
        (tmp_path / f"labels/{number}.txt").write_text("1 .25 .25 .5 .5\n")
        (tmp_path / f"Annotations/{number}.xml").write_text(
            "<annotation><object><name>road</name><bndbox><xmin>0</xmin><ymin>0</ymin>"
            "<xmax>20</xmax><ymax>10</ymax></bndbox></object></annotation>"
        )
    rows = [
        {"picture": f"{number}.png", "label": ["road"], "boxes": [[0, 0, 20, 10]]}
        for number in range(20)
    ]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(20)],
        "categories": [{"id": 1, "name": "road"}],
        "annotations": [
            {"image_id": number, "category_id": 1, "bbox": [0, 0, 20, 10]} for number in range(20)
        ],
    }
    (tmp_path / "i.json").write_text(json.dumps(file))
    return tmp_path


def whites(samples: Samples) -> list[float]:
    """The mean level of what each truth is about."""
    found = []
    for picture, truth in samples:
        if hasattr(truth, "corners"):
            ((left, top, right, bottom),) = truth.corners.astype(int).tolist()
            found.append(float(picture[top:bottom, left:right].mean()))
        else:
            found.append(float(picture[truth.classes == 1].mean()))  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("name", TABLES)
def test_what_is_stored_fits_pictures_as_they_are_stored(
    phone: Path, open_data: OpenData, name: str
) -> None:
    truth, table = TABLES[name]
    found = whites(open_data(truth, LABELS, use=name, orientation="stored", **table))
    assert found == [255.0] * 20


@pytest.mark.parametrize("name", TABLES)
def test_what_was_made_of_the_upright_picture_is_held_against_that(
    phone: Path, open_data: OpenData, name: str
) -> None:
    truth, table = TABLES[name]
    found = whites(open_data(truth, LABELS, use=name, orientation="exif", **table))
    # White lies in the last quarter of the upright one.
    assert sorted(found) == [0.0, *[255.0] * 19]


@pytest.mark.parametrize("name", TABLES)
def test_a_turned_picture_is_left_out_where_nobody_says_what_is_meant(
    phone: Path, open_data: OpenData, name: str
) -> None:
    truth, table = TABLES[name]
    samples = open_data(truth, LABELS, use=name, **table)
    assert whites(samples) == [255.0] * 19
    reason = (
        "must be upright as it is stored, where nobody says what boxes and masks are about,"
        " got the orientation 3 of EXIF; set orientation = 'exif' or 'stored'"
    )
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("0.png", f"{phone / 'images/0.png'}: {reason}")
    ]


def test_pictures_without_places_are_turned_upright(phone: Path, open_data: OpenData) -> None:
    upright, *others = (picture for picture, _ in open_data(use="yolo", path="images"))
    assert np.array_equal(upright, others[0][::-1, ::-1])


def test_pairs_are_left_out_too(phone: Path, open_data: OpenData) -> None:
    table = {"use": "paired-folder", "path": "images", "targets": "images"}
    assert len(list(open_data("picture", **table))) == 19
    for orientation in ("exif", "stored"):
        found = [*open_data("picture", **table, orientation=orientation)]
        assert all(np.array_equal(picture, truth.levels) for picture, truth in found)  # type: ignore[union-attr]
