"""Pictures written: whole, or not at all."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

import edgeprep.pictures
from edgeprep.errors import (
    BackendUnavailable,
    DTypeError,
    InputError,
    OutputExists,
    ShapeError,
    StorageError,
)
from edgeprep.pictures import read_picture, write_picture

PICTURE = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)


def whole(message):
    return f"^{re.escape(message)}$"


@pytest.mark.parametrize("ending", [".png", ".PNG"])
def test_png_comes_back_exactly(tmp_path, ending):
    path = tmp_path / f"picture{ending}"

    write_picture(path, PICTURE)

    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), PICTURE)


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_comes_back_nearly(tmp_path, ending):
    path = tmp_path / f"picture{ending}"
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)

    write_picture(str(path), flat)

    assert path.read_bytes().startswith(b"\xff\xd8\xff")
    # One level in each of the two conversions of colour, one in the transform.
    assert np.abs(read_picture(path).astype(int) - flat).max() <= 3


@pytest.mark.parametrize(
    "picture",
    [PICTURE[::-1, ::2], np.asfortranarray(PICTURE), np.broadcast_to(PICTURE[0, 0], (4, 4, 3))],
    ids=["strides", "Fortran order", "read-only"],
)
def test_arrays_of_all_layouts_are_written(tmp_path, picture):
    write_picture(tmp_path / "x.png", picture)

    np.testing.assert_array_equal(read_picture(tmp_path / "x.png"), picture)


def test_what_is_there_stays_unless_told(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    rule = f"{path}: already exists; pass --overwrite (overwrite=True) to replace it"
    with pytest.raises(OutputExists, match=whole(rule)):
        write_picture(path, PICTURE)
    assert path.read_bytes() == b"old"

    write_picture(path, PICTURE, overwrite=True)
    np.testing.assert_array_equal(read_picture(path), PICTURE)


@pytest.mark.parametrize("name", ["x.gif", "x", "png"])
def test_other_endings_are_refused(tmp_path, name):
    path = tmp_path / name

    rule = f"{path}: must end in .png, .jpg or .jpeg, got {path.suffix!r}"
    with pytest.raises(InputError, match=whole(rule)):
        write_picture(path, PICTURE)


def test_a_picture_of_floats_is_refused(tmp_path):
    path = tmp_path / "x.png"

    with pytest.raises(DTypeError, match=whole(f"{path}: picture must be uint8, got float32")):
        write_picture(path, PICTURE.astype(np.float32))


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 4), (1, 7, 5, 3), (0, 5, 3)])
def test_other_shapes_are_refused(tmp_path, shape):
    path = tmp_path / "x.png"

    rule = f"{path}: picture must have shape (H, W, 3), got {shape}"
    with pytest.raises(ShapeError, match=whole(rule)):
        write_picture(path, np.zeros(shape, np.uint8))


def test_a_missing_directory_is_named(tmp_path):
    path = tmp_path / "missing" / "x.png"

    rule = f"{path}: must lie in an existing directory, got {str(path.parent)!r}"
    with pytest.raises(StorageError, match=whole(rule)):
        write_picture(path, PICTURE)


def test_without_pillow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "edgeprep.pictures._pillow", raising=False)
    monkeypatch.delattr(edgeprep.pictures, "_pillow", raising=False)

    rule = "writing pictures needs Pillow, which is not installed; pip install edgeprep[picture]"
    with pytest.raises(BackendUnavailable, match=whole(rule)):
        write_picture("x.png", PICTURE)
