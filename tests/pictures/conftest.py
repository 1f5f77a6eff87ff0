"""Picture files made byte by byte, so that no library has a say in what they mean."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

# A tall scene of six colours, so that all eight orientations of it differ.
SCENE = (((255, 0, 0), (0, 255, 0)), ((0, 0, 255), (255, 255, 0)), ((0, 255, 255), (9, 8, 7)))


READ = """
import json, os, resource, sys
from edgeprep.errors import InputError
from edgeprep.pictures import _pillow, read_picture
def used_s():
    # Of this process alone: the machine may be busy.
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
def peak_mb():
    # NOTE: not ru_maxrss, which begins with what the process that started this one has taken.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
for path in sys.argv[1:]:
    # Each in a process of its own: what one has let go of, the next one may take unseen.
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    # The peak begins anew.
    open("/proc/self/clear_refs", "w").write("5")
    before_s, before_mb = used_s(), peak_mb()
    try:
        what = list(read_picture(path).shape)
    except InputError as error:
        what = f"{type(error).__name__}: {error}"
    found = dict(what=what, used_s=used_s() - before_s, grown_mb=peak_mb() - before_mb)
    print(json.dumps(found), flush=True)
    os._exit(0)
"""


class Cost(Struct):
    """What came of a picture, the processor's seconds, and by how many MB the peak of memory grew.

    `what` is the shape, or the error by its class and its words.
    """

    what: Any
    used_s: float
    grown_mb: float


@pytest.fixture(scope="session")
def costs() -> Callable[..., list[Cost]]:
    """Reads pictures in a child, as the peak of this process is no longer small."""

    def read(*paths: Path) -> list[Cost]:
        command = [sys.executable, "-c", READ, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [Cost(**json.loads(line)) for line in done.stdout.splitlines()]

    return read


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
