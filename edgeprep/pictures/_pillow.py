"""The twin of this package that needs Pillow: decoding, conversion and encoding."""

import io
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from edgeprep.errors import DTypeError, ImageDecodeError, ImageTooLarge, InputError, ShapeError
from edgeprep.files import atomic_write, open_regular
from edgeprep.pictures import Orientation

_PNG = b"\x89PNG\r\n\x1a\n"
_TOO_EARLY = "the file ends too early"
_ORIENTATION = 0x0112
_MIB = 1024 * 1024
# What may come before the pixels of a JPEG. Profiles have a few MB, and EXIF 64 kB; Pillow's time
# grows with the square of the number of parts that EXIF is in, and with that of all segments.
_BESIDE_JPEG = 8 * _MIB
# And beside those of PNG and WEBP, which Pillow holds in memory twice, and three times.
_BESIDE_PIXELS = 32 * _MIB
# A BMP has a palette there, of a few kB.
_BEFORE_BMP = 1 * _MIB
# No format here takes more for a pixel.
_PIXEL_BYTES = 8
# A read, in bytes that it takes as long as.
_READ_COST = 64
# How far apart, by the name of the layout, Pillow puts levels that have few bits.
_SPREAD = {"L;2": 85, "L;4": 17}
_ENCODERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
# What may come before the pixels, in bytes.
_BEFORE: Mapping[type[ImageFile], int] = {
    JpegImageFile: _BESIDE_JPEG,
    PngImageFile: _BESIDE_PIXELS,
    BmpImageFile: _BEFORE_BMP,
}

Convert = Callable[[Image.Image, object], NDArray[Any]]


class _EndIsAnError(io.BufferedReader):
    """A file whose end may not be reached: no decoder of a whole picture reads beyond it.

    Pillow refuses what is cut short only as long as nobody sets its `LOAD_TRUNCATED_IMAGES`, and
    its decoder of run-length coded BMP fills up with black even then.

    Attributes:
        left: how many bytes may still be read; None: any number.
        too_much: what is wrong with a file of which more is asked for.
    """

    left: int | None = None
    too_much = ""

    def read(self, size: int | None = -1, /) -> bytes:
        # Before it is there, wherever it is known how much it will be.
        if self.left is not None and (size or 0) > self.left:
            raise OSError(self.too_much)
        content = super().read(size)
        if self.left is not None:
            self.left -= len(content) + _READ_COST
            if self.left < 0:
                raise OSError(self.too_much)
        # Not EOFError, which Pillow's PNG reader takes for one of its own signals.
        if not content and size != 0:
            raise OSError(_TOO_EARLY)
        return content


def read(path: Path, max_pixels: int, orientation: Orientation) -> NDArray[np.uint8]:
    """See `read_picture`."""
    return _read(path, max_pixels, _rgb, orientation)


def read_values(path: Path, max_pixels: int, orientation: Orientation) -> NDArray[Any]:
    """See `read_values`."""
    return _read(path, max_pixels, _values, orientation)


def _read(path: Path, max_pixels: int, convert: Convert, orientation: Orientation) -> NDArray[Any]:
    with open_regular(path) as opened, _EndIsAnError(opened) as stream:  # type: ignore[arg-type]
        # The rest is for colour profiles and remarks.
        _check_length(stream, path, _PIXEL_BYTES * max_pixels + 16 * _MIB)
        try:
            return _decode(stream, path, max_pixels, convert, orientation)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            # Pillow's decoders let out a dozen types, from SyntaxError to struct.error.
            raise ImageDecodeError(
                f"{path}: must be a whole picture, got one that fails with {str(error)!r}"
            ) from error


def write(path: Path, picture: NDArray[np.uint8], *, overwrite: bool) -> None:
    """See `write_picture`."""
    encoder = _ENCODERS.get(path.suffix.lower())
    if encoder is None:
        raise InputError(f"{path}: must end in .png, .jpg or .jpeg, got {path.suffix!r}")
    if picture.dtype != np.uint8:
        raise DTypeError(f"{path}: picture must be uint8, got {picture.dtype}")
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ShapeError(f"{path}: picture must have shape (H, W, 3), got {picture.shape}")
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(encoded, encoder, quality=95)
    content = encoded.getvalue()
    atomic_write(path, [content], overwrite=overwrite, size_bytes=len(content))


def _decode(
    stream: _EndIsAnError,
    path: Path,
    max_pixels: int,
    convert: Convert,
    orientation: Orientation,
) -> NDArray[Any]:
    start = stream.peek(30)[:30]
    reader = _reader(start)
    if reader is None:
        raise ImageDecodeError(
            f"{path}: must be a JPEG, PNG, WEBP or BMP file, "
            f"got one that starts with {start[:12]!r}"
        )
    # Not `Image.open`: it tries all registered formats, and warns or raises by a setting that
    # belongs to the application.
    if reader is WebPImageFile:
        # Opening it takes memory for the whole picture, and reads the whole file.
        width, height = _webp_size(start)
        _check_size(width, height, path, max_pixels)
        _check_length(stream, path, _PIXEL_BYTES * width * height + _BESIDE_PIXELS)
    if reader in _BEFORE:
        stream.left = _BEFORE[reader]
        stream.too_much = f"more than {_BEFORE[reader] // _MIB} MiB come before its pixels"
    image = reader(stream)
    stream.left = None
    _check_size(image.width, image.height, path, max_pixels)
    if reader is PngImageFile:
        _check_chunks(stream)
        # What comes behind them Pillow reads, too.
        stream.left = _PIXEL_BYTES * image.width * image.height + _BESIDE_PIXELS
        stream.too_much = f"more than {_BESIDE_PIXELS // _MIB} MiB come beside its pixels"
    # Loading forgets in how many bits the values are.
    stored = image.tile[0].args if image.tile else None
    image.load()
    turn = 1 if orientation == "stored" else _orientation(image.info.get("exif", b""))
    if turn != 1 and orientation == "refuse":
        rule = "must be upright as it is stored, where nobody says what boxes and masks are about"
        remedy = "set orientation = 'exif' or 'stored'"
        raise InputError(f"{path}: {rule}, got the orientation {turn} of EXIF; {remedy}")
    return np.ascontiguousarray(_upright(convert(image, stored), turn))


def _reader(start: bytes) -> type[ImageFile] | None:
    if start.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if start.startswith(_PNG):
        return PngImageFile
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return WebPImageFile
    return BmpImageFile if start.startswith(b"BM") else None


def _check_size(width: int, height: int, path: Path, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{path}: must have at most {max_pixels} pixels, "
            f"got {width * height} ({width} × {height})"
        )


def _check_length(stream: io.BufferedReader, path: Path, most: int) -> None:
    size_bytes = os.fstat(stream.fileno()).st_size
    if size_bytes > most:
        raise ImageTooLarge(f"{path}: must be at most {most} bytes long, got {size_bytes}")


def _webp_size(start: bytes) -> tuple[int, int]:
    """Width and height in pixels, as the first 30 bytes say.

    Source: RFC 9649, sections 2.7.1 (VP8X) and 3.4 (VP8L); RFC 6386, section 9.1 (VP8).
    """
    kind = start[12:16]
    if kind == b"VP8X":
        return (
            int.from_bytes(start[24:27], "little") + 1,
            int.from_bytes(start[27:30], "little") + 1,
        )
    if kind == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return (
        int.from_bytes(start[26:28], "little") & 0x3FFF,
        int.from_bytes(start[28:30], "little") & 0x3FFF,
    )


def _check_chunks(stream: io.BufferedReader) -> None:
    # The chunk with the orientation may come after the pixels, and Pillow does without it in a
    # file that ends between the two.
    position = stream.tell()
    stream.seek(len(_PNG))
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", _read_exactly(stream, 8))
        stream.seek(length, io.SEEK_CUR)
        _read_exactly(stream, 4)
    stream.seek(position)


def _read_exactly(stream: io.BufferedReader, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise OSError(_TOO_EARLY)
    return content


def _rgb(image: Image.Image, stored: object = None) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        # Pillow's own conversion of 16-bit grey clips at 255. "I" is what releases before 12
        # read it as.
        grey = (np.asarray(image).astype(np.int32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    # Otherwise Pillow looks for a colour that can stand for the transparent one, and changes it.
    image.info.pop("transparency", None)
    return np.array(image.convert("RGB"))


def _values(image: Image.Image, stored: object) -> NDArray[Any]:
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("1", "P", "L"):
        # Pillow spreads levels of few bits over 0..255.
        return np.asarray(image).astype(np.uint8) // _SPREAD.get(str(stored), 1)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[:, :, 0]
    return _rgb(image)


def _orientation(exif: bytes) -> int:
    """What an EXIF block says of orientation, 1 to 8; 1, upright, where it cannot be read.

    Source: TIFF 6.0, sections 2 (image file directory) and 8 (Orientation).
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(entries):
            fields = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
            if fields[0] == _ORIENTATION:
                return fields[3] if 1 <= fields[3] <= 8 else 1
    except struct.error:
        pass
    return 1


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    # The orientation names the sides of the scene at which the first row and column lie.
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
