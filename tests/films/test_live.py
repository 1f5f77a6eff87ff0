"""Addresses and cameras: what a server on this machine sends, and what it does not."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from av.error import InvalidDataError, ProtocolNotFoundError

from edgeprep.errors import FilmError, ImageTooLarge, StreamStalled
from edgeprep.films import open_source
from edgeprep.films._live import Source
from edgeprep.films.names import (
    check_address,
    is_address,
    is_film,
    is_playlist,
    without_password,
)
from edgeprep.films.newest import Newest

Make = Callable[..., Path]


@contextmanager
def server(content: bytes, *, stalls: bool, promised: int | None = None) -> Iterator[str]:
    """The address at which this machine sends `content`, and then ends, or is silent."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                length = len(content) if promised is None else promised
                head = f"HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n"
                connection.sendall(head.encode() + content)
                if stalls:
                    over.wait(30)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://me:secret@127.0.0.1:{listening.getsockname()[1]}/live.ts"
        finally:
            over.set()
            thread.join(30)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files."""

    def log_message(self, *words: object) -> None:
        pass


def shown(address: str) -> str:
    return address.replace("me:secret", "***")


def test_what_an_address_sends_comes_to_its_end(film: Make) -> None:
    with server(film("film.ts").read_bytes(), stalls=False) as address:
        source = open_source(address, timeout_s=10)
        pictures = list(source)
        source.close()
    assert source.name == shown(address)
    assert source.fps == 10
    assert [round(float(each.mean())) for each in pictures] == pytest.approx(
        [16 + 4 * index for index in range(20)], abs=6
    )


def test_an_address_that_ends_before_it_said_is_an_error(film: Make) -> None:
    content = film("film.ts").read_bytes()
    with server(content, stalls=False, promised=10**9) as address:
        source = open_source(address, timeout_s=10)
        pictures = iter(source)
        next(pictures)
        message = (
            rf"^{shown(address).replace('*', '[*]')}: must go on sending, got 'Input/output error'$"
        )
        with pytest.raises(FilmError, match=message):
            list(pictures)
        source.close()


# The first says how many bytes it has, the others for how long they last.
@pytest.mark.parametrize("name", ["film.ts", "film.mkv", "film.avi"])
def test_a_film_at_an_address_is_whole_when_all_of_it_has_come(film: Make, name: str) -> None:
    with server(film(name, frames=50).read_bytes(), stalls=False) as address:
        source = open_source(address, timeout_s=10)
        pictures = iter(source)
        for _ in range(20):
            next(pictures)
        assert not source.is_whole
        assert len(list(pictures)) == 30
        assert source.is_whole
        source.close()


def test_what_is_live_is_never_whole(film: Make) -> None:
    # The playlist is shorter than what it names, and was read to its end.
    film("part.ts").with_name("live.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\npart.ts\n"
    )
    handler = partial(Quiet, directory=str(film("other.ts").parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{serving.server_port}/live.m3u8", timeout_s=10)
        assert len(list(islice(source, 20))) == 20
        assert not source.is_whole
        source.close()
        serving.shutdown()


def test_an_address_that_falls_silent_is_an_error(film: Make) -> None:
    with server(film("film.ts", frames=50).read_bytes(), stalls=True, promised=10**9) as address:
        source = open_source(address, timeout_s=1)
        pictures = iter(source)
        next(pictures)
        message = (
            rf"^{shown(address).replace('*', '[*]')}: must send a picture within 1 s, got none$"
        )
        began = monotonic()
        with pytest.raises(StreamStalled, match=message):
            list(pictures)
        assert monotonic() - began < 20
        source.close()


def test_an_address_that_never_answers_is_an_error() -> None:
    with server(b"", stalls=True, promised=10**9) as address:
        message = (
            rf"^{shown(address).replace('*', '[*]')}: must send a picture within 1 s, got none$"
        )
        with pytest.raises(StreamStalled, match=message):
            open_source(address, timeout_s=1)


def test_an_address_where_nobody_is_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    message = (
        rf"^rtsp://127\.0\.0\.1:{port}/cam: must be a source of pictures that can be opened, "
        r"got 'Connection refused'$"
    )
    with pytest.raises(FilmError, match=message):
        open_source(f"rtsp://127.0.0.1:{port}/cam", timeout_s=5)


def test_what_is_no_film_is_an_error() -> None:
    with server(b"hello" * 100, stalls=False) as address:
        message = r"must be a source of pictures that can be opened, got '"
        with pytest.raises(FilmError, match=message):
            open_source(address, timeout_s=5)


def test_a_playlist_at_an_address_opens_no_file_of_this_machine(film: Make) -> None:
    path = film("film.ts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{path}\n#EXT-X-ENDLIST\n"
    with server(playlist.encode(), stalls=False) as address:
        address = address.replace("live.ts", "live.m3u8?key=secret")
        message = (
            r"live\.m3u8\?\*\*\*: must be a source of pictures that can be opened, "
            r"got 'Invalid data found when processing input'; "
            r"a playlist at an address must name addresses, and no files$"
        )
        with pytest.raises(FilmError, match=message):
            list(open_source(address, timeout_s=5))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "concat://a|b", "ftp://u:p@host/x"])
def test_addresses_of_which_nothing_live_comes_are_refused(address: str) -> None:
    scheme = address.partition("://")[0]
    name = address.replace("u:p", "***").replace("|", "[|]").replace("*", "[*]")
    message = (
        rf"^{name}: must begin with one of 'http', 'https', 'rtmp', 'rtmps', 'rtp', 'rtsp', "
        rf"'rtsps', 'srt', 'tcp', 'udp', got '{scheme}'$"
    )
    with pytest.raises(FilmError, match=message):
        open_source(address, timeout_s=1)


@pytest.mark.parametrize(
    "address",
    ["http://", "https:///live", "rtsp://:554/live", "http://[bad", "http://u:p@/x", "udp://"],
)
def test_an_address_without_a_host_is_refused(address: str) -> None:
    message = rf"^{re.escape(without_password(address))}: must have a host, got none$"
    with pytest.raises(FilmError, match=message):
        open_source(address, timeout_s=1)


@pytest.mark.parametrize("address", ["udp://@:5004", "tcp://:5004?listen", "HTTP://[::1]:80/x"])
def test_who_listens_at_a_port_needs_no_host(address: str) -> None:
    check_address(address)


def test_schemes_have_no_case(film: Make) -> None:
    with server(film("film.ts").read_bytes(), stalls=False) as address:
        source = open_source(address.replace("http", "HTTP"), timeout_s=10)
        assert len(list(source)) == 20
        source.close()


def test_a_host_that_nobody_knows_is_told() -> None:
    message = (
        r"^http://no\.\.host/x: must be a source of pictures that can be opened, "
        r"got 'Input/output error'; its host is not known here$"
    )
    with pytest.raises(FilmError, match=message):
        open_source("http://no..host/x", timeout_s=5)


def test_a_protocol_that_pyav_was_built_without_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: object, **options: object) -> None:
        raise ProtocolNotFoundError(1, "Protocol not found", "srt://host:1")

    monkeypatch.setattr("av.open", fail)
    message = r"^srt://host:1: must be of a protocol that this build of PyAV has, got 'srt'$"
    with pytest.raises(FilmError, match=message):
        open_source("srt://host:1", timeout_s=1)


def test_a_camera_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    message = (
        r"^camera 77: must be a source of pictures that can be opened, "
        r"got 'No such file or directory'$"
    )
    with pytest.raises(FilmError, match=message):
        open_source("77", timeout_s=1)


def test_where_cameras_have_no_numbers_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    message = r"^camera 0: cameras by number need Linux or macOS, got 'win32'; give its address$"
    with pytest.raises(FilmError, match=message):
        open_source("0", timeout_s=1)


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("rtsp://me:secret@camera/live", "rtsp://***@camera/live"),
        ("rtsp://me:a@b@camera:554", "rtsp://***@camera:554"),
        ("rtsp://camera/user@home", "rtsp://camera/user@home"),
        ("http://camera", "http://camera"),
        ("http://camera:8080/live", "http://camera:8080/live"),
        ("rtsp://me:se/cret@camera/x", "rtsp://***@camera/x"),
        (
            "rtsp://camera/user=me&password=secret&channel=1",
            "rtsp://camera/user=***&password=***&channel=***",
        ),
        ("http://camera/video?user=me&pwd=secret", "http://camera/video?***"),
        ("rtsp://me:se?cret@camera/1", "rtsp://***"),
        ("rtsp://me:a@b?c@camera/1", "rtsp://***"),
        ("rtsp://camera:554/live?pwd=a@b", "rtsp://***"),
        ("rtmp://server/live?secret@x", "rtmp://server/live?***"),
    ],
)
def test_passwords_are_not_shown(address: str, seen: str) -> None:
    assert without_password(address) == seen


def test_a_word_is_known_by_its_looks() -> None:
    assert [is_film(word) for word in ("a.MP4", "b/c.mkv", "a.png", "mp4")] == [
        True,
        True,
        False,
        False,
    ]
    assert [is_playlist(word) for word in ("a.M3U8", "b/c.m3u", "d.ffconcat", "m3u8", "a.mp4")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [is_address(word) for word in ("rtsp://x", "x.mp4", "C:/x.mp4")] == [True, False, False]


class Broken:
    """A container whose packets cannot be decoded, and which never ends."""

    class Packet:
        pts = pos = None

        def decode(self) -> list[object]:
            raise InvalidDataError(1, "x")

    def __init__(self) -> None:
        self.closed = Event()
        self.duration = None
        self.size = -1
        self.format = SimpleNamespace(name="it")
        self.streams = SimpleNamespace(video=[SimpleNamespace(average_rate=None, duration=None)])

    def demux(self, stream: object) -> Iterator[Packet]:
        while not self.closed.wait(0.001):
            yield self.Packet()

    def close(self) -> None:
        self.closed.set()


def test_what_sends_without_a_picture_is_let_go_of() -> None:
    container = Broken()
    message = r"^it: must send a picture within 0\.1 s, got none$"
    with (
        pytest.raises(StreamStalled, match=message),
        Newest(lambda: Source("it", container, 0.1), name="it", timeout_s=0.1) as newest,
    ):
        newest.take()
    # And not only later: a camera that is held cannot be opened again.
    assert container.closed.is_set()


def test_too_many_pixels_are_not_a_fault_that_passes(film: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("edgeprep.films._live.MAX_PIXELS", 48 * 64 - 1)
    with server(film("film.ts").read_bytes(), stalls=False) as address:
        source = open_source(address, timeout_s=10)
        message = r"must have at most 3071 pixels, got 64 × 48$"
        with pytest.raises(ImageTooLarge, match=message):
            list(source)
        source.close()
