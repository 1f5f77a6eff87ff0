"""What PyAV raises of films that are damaged, where it is none of FFmpeg's own errors."""

import socket
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from edgeprep.errors import FilmError
from edgeprep.films import open_film, open_source
from edgeprep.films._live import Source
from edgeprep.films._read import Film

Make = Callable[..., Path]
ERRORS = [
    IndexError("list index out of range"),
    ValueError("no such format"),
    EOFError("over"),
    KeyError("frame"),
    RuntimeError("Could not"),
    MemoryError(),
]
SAID = [
    "'IndexError: list index out of range'",
    "'no such format'",
    "'EOFError: over'",
    "\"KeyError: 'frame'\"",
    "'RuntimeError: Could not'",
    "'MemoryError: '",
]


@pytest.fixture
def grows(tmp_path: Path) -> Path:
    """An MPEG-TS of 100 pictures, after which it has another stream, as damaged tables say."""

    def part(pid: int) -> bytes:
        content = BytesIO()
        options = {"mpegts_start_pid": str(pid), "mpegts_pmt_start_pid": str(pid + 64)}
        with av.open(content, "w", format="mpegts", options=options) as container:
            stream = container.add_stream("mpeg2video", rate=10)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for index in range(100):
                grey = np.full((48, 64, 3), 16 + 2 * index, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return content.getvalue()

    path = tmp_path / "grows.ts"
    path.write_bytes(part(256) + part(768))
    return path


def test_of_a_film_with_a_stream_that_was_not_announced_all_before_it_is_read(grows: Path) -> None:
    levels = []
    message = (
        rf"^{grows}: must be a film that can be read to its end, "
        r"got 'IndexError: list index out of range'$"
    )
    with open_film(grows) as opened, pytest.raises(FilmError, match=message):
        levels.extend(round(float(frame.picture.mean())) for frame in opened)
    assert len(levels) == 100


def test_an_address_with_a_stream_that_was_not_announced_is_lost(
    grows: Path, serve: Callable[[bytes], str]
) -> None:
    address = serve(grows.read_bytes())
    source = open_source(address, timeout_s=10)
    message = rf"^{address}: must go on sending, got 'IndexError: list index out of range'$"
    pictures = iter(source)
    assert next(pictures).shape == (48, 64, 3)
    with pytest.raises(FilmError, match=message):
        list(pictures)
    source.close()


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Sends bytes once to whoever asks at the address that it gives."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def start(content: bytes) -> str:
        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
                connection.sendall(head.encode() + content)

        threads.append(Thread(target=answer, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/live.ts"

    yield start
    for thread in threads:
        thread.join(30)
    listening.close()


class Failing:
    """A container of which PyAV raises `error` at the first packet, or at what it holds."""

    duration = None
    size = -1
    format = SimpleNamespace(name="it")

    def __init__(self, error: Exception, *, decodes: bool = False) -> None:
        self._error = error
        self._decodes = decodes
        stream = SimpleNamespace(
            average_rate=Fraction(10), duration=None, metadata={}, start_time=None
        )
        self.streams = SimpleNamespace(video=[stream])

    def demux(self, stream: object) -> Iterator[Any]:
        if not self._decodes:
            raise self._error
        yield SimpleNamespace(pts=None, pos=None, decode=self._decode)

    def close(self) -> None:
        pass

    def _decode(self) -> list[object]:
        raise self._error


@pytest.mark.parametrize(("error", "said"), list(zip(ERRORS, SAID, strict=True)))
def test_whatever_is_raised_while_reading_is_an_error_of_the_film(
    tmp_path: Path, error: Exception, said: str
) -> None:
    path = tmp_path / "film.ts"
    container: Any = Failing(error)
    with pytest.raises(FilmError, match=r"^.*$") as refused:
        list(Film(path, BytesIO(), container, 10**6))
    rule = "must be a film that can be read to its end"
    assert str(refused.value) == f"{path}: {rule}, got {said}"
    assert refused.value.__cause__ is error
    with pytest.raises(FilmError, match=r"^.*$") as lost:
        list(Source("it", container, 1.0))
    assert str(lost.value) == f"it: must go on sending, got {said}"


@pytest.mark.parametrize(("error", "said"), list(zip(ERRORS, SAID, strict=True)))
def test_whatever_is_raised_while_opening_is_an_error_of_the_source(
    film: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    path = film()

    def fail(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("av.open", fail)
    with pytest.raises(FilmError, match=r"^.*$") as refused:
        open_film(path)
    rule = "must be a film (MP4, MOV, Matroska, WebM, AVI, MPEG)"
    assert str(refused.value) == f"{path}: {rule}, got one that fails with {said}"
    address = "http://127.0.0.1/live.ts"
    with pytest.raises(FilmError, match=r"^.*$") as lost:
        open_source(address, timeout_s=1)
    rule = "must be a source of pictures that can be opened"
    assert str(lost.value) == f"{address}: {rule}, got {said}"


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_is_raised_of_one_part_leaves_that_part_out(
    tmp_path: Path, error: Exception
) -> None:
    container: Any = Failing(error, decodes=True)
    path = tmp_path / "film.ts"
    message = rf"^{path}: must have frames, got none; 1 parts of it cannot be decoded$"
    with pytest.raises(FilmError, match=message):
        list(Film(path, BytesIO(), container, 10**6))
    assert list(Source("it", container, 1.0)) == []
