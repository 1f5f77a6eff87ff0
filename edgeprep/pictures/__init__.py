"""Picture files in and out. They need Pillow; sessions, which take arrays, do not."""

import os
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendUnavailable

__all__ = [
    "MAX_PIXELS",
    "Orientation",
    "check_pillow",
    "read_picture",
    "read_values",
    "write_picture",
]

# Larger than any camera of an edge device, and at 3 bytes a pixel still 150 MB.
MAX_PIXELS = 50_000_000

# What becomes of a picture that EXIF says to turn: it is turned, left as it is stored, or refused.
Orientation = Literal["exif", "stored", "refuse"]


def check_pillow() -> None:
    """Find out before any work whether pictures can be read later.

    Raises:
        BackendUnavailable: Pillow is not installed.
    """
    _twin("reading")


def read_picture(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    orientation: Orientation = "exif",
) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, WEBP or BMP file as RGB pixels, or not at all.

    The content says which format it is, not the name. What is not plain 8-bit RGB is converted:

    - EXIF orientation is applied, so that up is up;
    - alpha is dropped and colour profiles are ignored: the colours come as they are stored;
    - grey, 1-bit and palette pictures become the RGB that they stand for;
    - of 16-bit values the upper 8 bits are taken;
    - CMYK is converted by the plain formula;
    - of an animation, the first picture is taken.

    Apart from the conversion of CMYK, this is what OpenCV's `IMREAD_COLOR` gives.

    Args:
        path: of a regular file.
        max_pixels: height times width above which a picture is refused from its header, before
            any memory is taken for it.
        orientation: "exif": see above; "stored": EXIF is not looked at; "refuse": a picture that
            EXIF says to turn is an error, for whoever cannot know which of the two is meant.

    Returns:
        `(H, W, 3)`, uint8, RGB, C-contiguous.

    Raises:
        StorageError: the file cannot be read, or is not a regular file.
        ImageDecodeError: it is not a whole picture in one of these formats.
        ImageTooLarge: it has more than `max_pixels` pixels, or is far longer than these can be.
        InputError: it is to be turned, and `orientation` is "refuse".
        BackendUnavailable: Pillow is not installed.

    Source: compared with OpenCV and with values worked out by hand in
        tests/pictures/test_read_picture.py.
    """
    pixels: NDArray[np.uint8] = _twin("reading").read(Path(path), max_pixels, orientation)
    return pixels


def read_values(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    orientation: Orientation = "exif",
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read a picture file whose values are no colours to look at: masks and maps.

    As `read_picture`, but values come as they are stored:

    - of a palette, which colour each pixel has;
    - of grey, the levels, 16-bit ones in full, and those of 1, 2 and 4 bits as small numbers.

    Returns:
        `(H, W)` of a palette or grey, uint8 or uint16, or `(H, W, 3)` of colours, uint8, RGB.

    Raises: as `read_picture`.

    Source: compared with values that were written by hand in tests/pictures/test_read_values.py.
    """
    values: NDArray[np.uint8] | NDArray[np.uint16] = _twin("reading").read_values(
        Path(path), max_pixels, orientation
    )
    return values


def write_picture(
    path: str | os.PathLike[str], picture: NDArray[np.uint8], *, overwrite: bool = False
) -> None:
    """Write an RGB picture, `(H, W, 3)`, uint8, as PNG or JPEG by the ending of `path`.

    The file appears whole, or not at all.

    Raises:
        InputError: the ending is not .png, .jpg or .jpeg, or `picture` is not such an array.
        OutputExists: `path` is there already, and `overwrite` is False.
        StorageError: the file cannot be written.
        BackendUnavailable: Pillow is not installed.
    """
    _twin("writing").write(Path(path), picture, overwrite=overwrite)


def _twin(verb: str) -> ModuleType:
    try:
        from edgeprep.pictures import _pillow
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "PIL":
            raise
        raise BackendUnavailable(
            f"{verb} pictures needs Pillow, which is not installed; pip install edgeprep[picture]"
        ) from error
    return _pillow
