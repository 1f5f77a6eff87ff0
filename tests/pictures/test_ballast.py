"""Pictures with far more beside their pixels than pixels: read or refused, in time and memory."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeprep.errors import ImageDecodeError
from edgeprep.pictures import read_picture

# RELIABILITY's row E1: what a refusal may take, and what reading a tiny picture may.
GROWN_MB, LIMIT_S = 100, 1.0
MB = 1 << 20

READ = """
import json, resource, sys, time
from edgeprep.errors import InputError
from edgeprep.pictures import _pillow, read_picture
found = {}
for path in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        what = list(read_picture(path).shape)
    except InputError as error:
        what = type(error).__name__
    after = resource.getrusage(resource.RUSAGE_SELF)
    # Of this process alone: the machine may be busy.
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found[path] = [what, used, (after.ru_maxrss - before.ru_maxrss) / 1024]
print(json.dumps(found))
"""


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
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, float, float]]:
    """What came of each, in one child: its seconds, and by how many MB the child grew."""
    folder = tmp_path_factory.mktemp("ballast")
    paths = {}
    for index, (name, make) in enumerate(BALLAST.items()):
        path = folder / str(index)
        path.write_bytes(make())
        paths[str(path)] = name
    done = subprocess.run(
        [sys.executable, "-c", READ, *paths], capture_output=True, text=True, check=True
    )
    return {paths[path]: tuple(what) for path, what in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", BALLAST)
def test_ballast_costs_neither_time_nor_memory(
    found: dict[str, tuple[object, float, float]], name: str
) -> None:
    what, used_s, grown_mb = found[name]
    assert what in ([4, 5, 3], "ImageDecodeError")
    assert used_s <= LIMIT_S
    assert grown_mb <= GROWN_MB


def test_ballast_that_means_nothing_is_no_fault(
    found: dict[str, tuple[object, float, float]],
) -> None:
    for name in ("unknown chunk of 30 MB", "ten thousand texts", "profile of 6 MB in JPEG"):
        assert found[name][0] == [4, 5, 3]


def test_what_is_too_much_beside_the_pixels_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(BALLAST["profile of 60 MB in JPEG"]())
    why = "'more than 8 MiB come before its pixels'"
    with pytest.raises(
        ImageDecodeError, match=rf"^{path}: must be a whole picture, got one that fails with {why}$"
    ):
        read_picture(path)


@pytest.mark.parametrize(
    ("side", "mode"), [(13_000, 0), (9_400, 2)], ids=["13000² grey", "9400² RGB"]
)
def test_bombs_of_all_depths_are_refused_at_once(tmp_path: Path, side: int, mode: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, mode, 0, 0, 0)
    row = 1 + side * (3 if mode else 1)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zeros(row * side // MB * MB)) + chunk(b"IEND", b"")
    path = tmp_path / "bomb"
    path.write_bytes(content)
    assert len(content) < 2 * MB
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True
    )
    what, used_s, grown_mb = json.loads(done.stdout)[str(path)]
    assert what == "ImageTooLarge"
    assert used_s <= 0.1
    assert grown_mb <= GROWN_MB
