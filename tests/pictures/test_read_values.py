import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeprep.errors import ImageDecodeError, StorageError
from edgeprep.pictures import read_values


def png(path: Path, depth: int, kind: int, rows: list[bytes], width: int) -> Path:
    """A PNG file as its specification has it: header, palette, rows without a filter, end."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(48))) if kind == 3 else b""
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (chunk(b"IHDR", header), palette, chunk(b"IDAT", content), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize(
    ("depth", "kind", "row", "values"),
    [
        (1, 0, b"\xa0", [1, 0, 1, 0]),
        (2, 0, b"\x1b", [0, 1, 2, 3]),
        (4, 0, b"\x0f\x57", [0, 15, 5, 7]),
        (8, 0, b"\x00\x07\x80\xff", [0, 7, 128, 255]),
        (16, 0, b"\x00\x01\x01\x00\x7f\xff\xff\xff", [1, 256, 32767, 65535]),
        (1, 3, b"\xa0", [1, 0, 1, 0]),
        (2, 3, b"\x1b", [0, 1, 2, 3]),
        (4, 3, b"\x0f\x57", [0, 15, 5, 7]),
        (8, 3, b"\x00\x07\x09\x0f", [0, 7, 9, 15]),
        (8, 4, b"\x05\x00\x06\xff\x07\x00\x08\x01", [5, 6, 7, 8]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_values_are_those_that_were_stored(
    tmp_path: Path, depth: int, kind: int, row: bytes, values: list[int]
) -> None:
    found = read_values(png(tmp_path / "a.png", depth, kind, [row], 4))
    assert found.tolist() == [values]
    assert found.dtype == (np.uint16 if depth == 16 else np.uint8)


def test_colours_come_as_three_channels(tmp_path: Path) -> None:
    found = read_values(png(tmp_path / "a.png", 8, 2, [b"\x01\x02\x03\x04\x05\x06"], 2))
    assert found.tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_alpha_of_colours_is_dropped(tmp_path: Path) -> None:
    found = read_values(png(tmp_path / "a.png", 8, 6, [b"\x01\x02\x03\x00"], 1))
    assert found.tolist() == [[[1, 2, 3]]]


def test_a_bitmap_with_a_palette(tmp_path: Path) -> None:
    picture = Image.frombytes("P", (2, 1), b"\x03\x01")
    picture.putpalette(bytes(range(12)))
    picture.save(tmp_path / "a.bmp")
    assert read_values(tmp_path / "a.bmp").tolist() == [[3, 1]]


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 8, 0, [bytes(64)] * 64, 64)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ImageDecodeError, match=r"a\.png: must be a whole picture, got one that"):
        read_values(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.png: must be a file that can be read, got 'No su"):
        read_values(tmp_path / "a.png")
