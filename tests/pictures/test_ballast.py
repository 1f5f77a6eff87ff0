"""Pictures with far more beside their pixels than pixels: read or refused, in time and memory."""

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeprep.errors import ImageDecodeError, ImageTooLarge
from edgeprep.pictures import read_picture

Costs = Callable[..., list[Any]]

# RELIABILITY's row E1: what a refusal may take, and what reading a tiny picture may.
GROWN_MB, LIMIT_S = 100, 1.0
MB = 1 << 20


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def zeros(size: int) -> bytes:
    """So many zeros, in little space."""
    packer = zlib.compressobj(1)
    return b"".join([*(packer.compress(bytes(MB)) for _ in range(size // MB)), packer.flush()])


def small(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), 90, np.uint8)).save(stream, kind)
    return stream.getvalue()


def png_before(*chunks: bytes) -> bytes:
    whole = small("PNG")
    # The chunk of its end.
    return whole[:-12] + b"".join(chunks) + whole[-12:]


def webp_with(kind: bytes, content: bytes) -> bytes:
    """Source: RFC 9649, section 2.7; the flags say of which parts there is one."""
    flags = {b"EXIF": 0x08, b"ICCP": 0x20}
    size = (5 - 1).to_bytes(3, "little") + (4 - 1).to_bytes(3, "little")
    parts = [riff(kind, content), small("WEBP")[12:]]
    if kind != b"ICCP":
        parts.reverse()
    head = riff(b"VP8X", bytes([flags[kind], 0, 0, 0]) + size)
    return riff(b"RIFF", b"WEBP" + head + b"".join(parts))


def bmp_with_header(size: int) -> bytes:
    whole = small("BMP")
    return whole[:14] + struct.pack("<I", size) + whole[18:] + bytes(size)


def riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def png_with(*chunks: bytes) -> bytes:
    whole = small("PNG")
    # Behind the signature and the header.
    return whole[:33] + b"".join(chunks) + whole[33:]


def jpeg_with(segments: Iterator[bytes]) -> bytes:
    whole = small("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:]


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def profile_parts(count: int) -> Iterator[bytes]:
    for index in range(count):
        head = b"ICC_PROFILE\0" + bytes([index % 255 + 1, 255])
        yield segment(0xE2, head + bytes(60_000))


BALLAST: dict[str, Callable[[], bytes]] = {
    "text of 256 MB": lambda: png_with(chunk(b"zTXt", b"k\0\0" + zeros(256 * MB))),
    "international text of 256 MB": lambda: png_with(
        chunk(b"iTXt", b"k\0\x01\0\0\0" + zeros(256 * MB))
    ),
    "profile of 256 MB": lambda: png_with(chunk(b"iCCP", b"p\0\0" + zeros(256 * MB))),
    "ten thousand texts": lambda: png_with(*[chunk(b"tEXt", b"k\0" + bytes(1000))] * 10_000),
    "EXIF of 30 MB in PNG": lambda: png_with(chunk(b"eXIf", bytes(30 * MB))),
    "unknown chunk of 30 MB": lambda: png_with(chunk(b"abCd", bytes(30 * MB))),
    "unknown chunk of 60 MB": lambda: png_with(chunk(b"abCd", bytes(60 * MB))),
    "unknown chunk of 60 MB behind the pixels": lambda: png_before(chunk(b"abCd", bytes(60 * MB))),
    "more of 120 MB in the chunk of the pixels": lambda: png_before(
        chunk(b"IDAT", bytes(120 * MB))
    ),
    "header of 60 MB in BMP": lambda: bmp_with_header(60 * MB),
    "EXIF of 60 MB in WEBP": lambda: webp_with(b"EXIF", bytes(60 * MB)),
    "profile of 60 MB in WEBP": lambda: webp_with(b"ICCP", bytes(60 * MB)),
    "EXIF of 20 MB in WEBP": lambda: webp_with(b"EXIF", bytes(20 * MB)),
    "profile of 6 MB in JPEG": lambda: jpeg_with(profile_parts(100)),
    "profile of 60 MB in JPEG": lambda: jpeg_with(profile_parts(1000)),
    # Pillow alone: 15 s.
    "EXIF in a thousand parts": lambda: jpeg_with(
        segment(0xE1, b"Exif\0\0" + bytes(60_000)) for _ in range(1000)
    ),
    "EXIF in a hundred parts": lambda: jpeg_with(
        segment(0xE1, b"Exif\0\0" + bytes(60_000)) for _ in range(100)
    ),
    "a million remarks without a word": lambda: jpeg_with(
        segment(0xFE, b"") for _ in range(1_000_000)
    ),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, costs: Costs) -> dict[str, Any]:
    """What came of each."""
    folder = tmp_path_factory.mktemp("ballast")
    paths = []
    for index, make in enumerate(BALLAST.values()):
        paths.append(folder / str(index))
        paths[-1].write_bytes(make())
    return dict(zip(BALLAST, costs(*paths), strict=True))


@pytest.mark.parametrize("name", BALLAST)
def test_ballast_costs_neither_time_nor_memory(found: dict[str, Any], name: str) -> None:
    cost = found[name]
    assert cost.what == [4, 5, 3] or cost.what.startswith(("ImageDecodeError: ", "ImageTooLarge: "))
    assert cost.used_s <= LIMIT_S
    assert cost.grown_mb <= GROWN_MB


def test_ballast_that_means_nothing_is_no_fault(found: dict[str, Any]) -> None:
    for name in (
        "unknown chunk of 30 MB",
        "ten thousand texts",
        "profile of 6 MB in JPEG",
        "EXIF of 20 MB in WEBP",
    ):
        assert found[name].what == [4, 5, 3]


@pytest.mark.parametrize(
    ("name", "mib", "place"),
    [
        ("profile of 60 MB in JPEG", 8, "come before"),
        ("unknown chunk of 60 MB", 32, "come before"),
        ("unknown chunk of 60 MB behind the pixels", 32, "come beside"),
    ],
)
def test_what_is_too_much_beside_the_pixels_is_named(
    tmp_path: Path, name: str, mib: int, place: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(BALLAST[name]())
    why = f"'more than {mib} MiB {place} its pixels'"
    with pytest.raises(
        ImageDecodeError, match=rf"^{path}: must be a whole picture, got one that fails with {why}$"
    ):
        read_picture(path)


def test_a_webp_file_that_is_too_long_for_its_pixels_is_refused_by_its_header(
    tmp_path: Path,
) -> None:
    path = tmp_path / "picture"
    content = BALLAST["EXIF of 60 MB in WEBP"]()
    path.write_bytes(content)
    most = 8 * 4 * 5 + 32 * MB
    message = f"{path}: must be at most {most} bytes long, got {len(content)}"
    with pytest.raises(ImageTooLarge, match=f"^{re.escape(message)}$"):
        read_picture(path)


@pytest.mark.parametrize(
    ("side", "mode"), [(13_000, 0), (9_400, 2)], ids=["13000² grey", "9400² RGB"]
)
def test_bombs_of_all_depths_are_refused_at_once(
    tmp_path: Path, costs: Costs, side: int, mode: int
) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, mode, 0, 0, 0)
    row = 1 + side * (3 if mode else 1)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zeros(row * side // MB * MB)) + chunk(b"IEND", b"")
    path = tmp_path / "bomb"
    path.write_bytes(content)
    assert len(content) < 2 * MB
    (cost,) = costs(path)
    assert cost.what.startswith("ImageTooLarge: ")
    assert cost.used_s <= 0.1
    assert cost.grown_mb <= GROWN_MB
