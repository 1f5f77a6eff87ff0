"""Picture files made byte by byte, so that no library has a say in what they mean."""

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

# A tall scene of six colours, so that all eight orientations of it differ.
SCENE = (((255, 0, 0), (0, 255, 0)), ((0, 0, 255), (255, 255, 0)), ((0, 255, 255), (9, 8, 7)))


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """A PNG file of packed rows; `before` and `after` are chunks around the pixels."""

    def png(
        width: int,
        rows: Sequence[bytes],
        *,
        depth: int = 8,
        color: int = 2,
        height: int | None = None,
        before: Sequence[tuple[bytes, bytes]] = (),
        after: Sequence[tuple[bytes, bytes]] = (),
    ) -> bytes:
        header = struct.pack(">IIBBBBB", width, height or len(rows), depth, color, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
        chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), *after, (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)

    return png


@pytest.fixture(scope="session")
def exif() -> Callable[..., bytes]:
    """An EXIF block with the orientation as its second entry."""

    def exif(orientation: int, order: str = ">") -> bytes:
        mark = b"MM" if order == ">" else b"II"
        entries = [(0x0100, 4, 1, 99), (0x0112, 3, 1, orientation)]
        block = struct.pack(order + "HIH", 42, 8, len(entries))
        for tag, kind, count, value in entries:
            layout = "HHIHxx" if kind == 3 else "HHII"
            block += struct.pack(order + layout, tag, kind, count, value)
        return mark + block + bytes(4)

    return exif


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write bytes to a file whose name says nothing."""

    def file(content: bytes) -> Path:
        path = tmp_path / "picture"
        path.write_bytes(content)
        return path

    return file
