"""Cameras over the network and over a driver: silent, stalling, reset, unplugged, and back."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Any

import av
import numpy as np
import pytest

from edgeprep.errors import FilmError, StreamStalled
from edgeprep.runtime import Session

Open = Callable[..., Session]
Level = Callable[[Any], float | None]
# What a server does with the connection after it has sent what it sends.
Then = Callable[[socket.socket], object]

PATIENCE_S = 30.0
NEAR = 6
FRAMES = 100


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A hundred frames in MPEG-TS; frame `i` is grey of level `16 + 2 * i`."""
    path = tmp_path_factory.mktemp("film") / "film.ts"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=50, options={"tune": "zerolatency"})
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = 48, 64, "yuv420p", 1
        for index in range(FRAMES):
            picture = np.full((48, 64, 3), 16 + 2 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def silent(connection: socket.socket) -> None:
    """Keeps the connection, and sends nothing: as where the network was cut."""
    over.wait(PATIENCE_S)


def reset(connection: socket.socket) -> None:
    """Ends the connection as a router does that has forgotten it."""
    sleep(0.3)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def leave(connection: socket.socket) -> None:
    """Ends it in good order."""


over = threading.Event()


@contextlib.contextmanager
def served(talk: Callable[[socket.socket], object], *then: Then) -> Iterator[int]:
    """The port at which `talk` is held with each caller, and then what is to come `then`."""
    over.clear()
    listening = socket.create_server(("127.0.0.1", 0))

    def hold(connection: socket.socket, end: Then) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection)
            end(connection)

    def serve() -> None:
        for end in then:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=hold, args=(connection, end), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        # Whoever waits in accept is not woken by close alone.
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(PATIENCE_S)


def http(content: bytes, length: int = 10**9) -> Callable[[socket.socket], object]:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + content)

    return talk


def rtsp(content: bytes) -> Callable[[socket.socket], object]:
    """A camera that speaks RTSP 1.0, and sends MPEG-TS in RTP over the same connection.

    Source: RFC 2326, sections 10 and 10.12; RFC 2250, section 2.
    """

    def talk(connection: socket.socket) -> None:
        file = connection.makefile("rb")
        verb = ""
        while verb != "PLAY":
            lines = []
            while (line := file.readline().strip()) != b"":
                lines.append(line.decode())
            if not lines:
                return
            verb = lines[0].split()[0]
            number = next(line for line in lines if line.lower().startswith("cseq"))
            more, body = "", ""
            if verb == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif verb == "DESCRIBE":
                body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                body += "m=video 0 RTP/AVP 33\r\na=control:track\r\n"
                more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif verb == "SETUP":
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            connection.sendall(f"RTSP/1.0 200 OK\r\n{number}\r\n{more}\r\n{body}".encode())
        size = 7 * 188
        for index, start in enumerate(range(0, len(content), size)):
            part = content[start : start + size]
            packet = struct.pack(">BBHII", 0x80, 33, index, index * 900, 7) + part
            connection.sendall(struct.pack(">BBH", 0x24, 0, len(packet)) + packet)

    return talk


TALKS = {"http": http, "rtsp": rtsp}


def near(levels: list[float | None], wanted: list[int]) -> bool:
    return len(levels) == len(wanted) and bool(
        np.all(np.abs(np.subtract(levels, wanted)) <= NEAR)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("scheme", TALKS)
def test_a_server_that_accepts_and_says_nothing_is_named_in_time(
    open_session: Open, scheme: str
) -> None:
    with served(lambda connection: None, silent) as port:
        address = f"{scheme}://me:secret@127.0.0.1:{port}/live.ts"
        began = monotonic()
        with open_session().stream(address, timeout_s=1, reconnect=0) as stream:
            shown = address.replace("me:secret", r"\*\*\*")
            message = rf"^{shown}: must send a picture within 1 s, got none$"
            with pytest.raises(StreamStalled, match=message):
                next(stream)
            assert monotonic() - began < 2
            assert stream.counts.stalled == 1


@pytest.mark.parametrize("scheme", TALKS)
@pytest.mark.parametrize("end", [silent, reset, leave], ids=["stalls", "resets", "ends"])
def test_a_server_that_is_lost_after_a_hundred_frames_is_followed_again(
    open_session: Open,
    level: Level,
    film: bytes,
    scheme: str,
    end: Then,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgeprep.runtime.live.back_off._FIRST_S", 0.1)
    session = open_session()
    with served(TALKS[scheme](film), end, silent) as port:
        address = f"{scheme}://127.0.0.1:{port}/live.ts"
        with session.stream(address, timeout_s=1, policy="every") as stream:
            levels = []
            while stream.counts.connected < 2 or levels[-1] > 30:  # type: ignore[operator]
                levels.append(level(next(stream)))
            count = len(levels) - 1
            # All frames of the first connection, and the second begins anew.
            assert near(levels[:count], [16 + 2 * index for index in range(count)])
            assert count >= FRAMES - 2
            assert stream.counts.arrived >= count
            assert stream.counts.stalled == (1 if end is silent else 0)
    lost, back = session.events.kept
    assert lost.details["state"] == "lost"
    assert 0.1 <= lost.details["wait_s"] <= 0.125
    assert back.message == f"{address}: sends again, after 1 new tries"


def test_a_film_at_an_address_is_over_when_all_of_it_has_come(
    open_session: Open, level: Level, film: bytes
) -> None:
    session = open_session()
    with served(http(film, len(film)), leave, silent) as port:
        with session.stream(f"http://127.0.0.1:{port}/film.ts", policy="every") as stream:
            levels = [level(answer) for answer in stream]
        assert stream.counts.connected == 1
    assert near(levels, [16 + 2 * index for index in range(FRAMES)])
    assert session.events.kept == ()


def test_where_nobody_is_it_is_tried_again_without_work(open_session: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    session = open_session()
    # What is loaded at the first try is not counted.
    with pytest.raises(FilmError, match=r"got 'Connection refused'$"):
        next(session.stream(f"rtsp://127.0.0.1:{port}/1", reconnect=0))
    with session.stream(f"rtsp://127.0.0.1:{port}/1", reconnect="always") as stream:
        used, began = process_time(), monotonic()
        while stream.counts.connected < 3:
            sleep(0.1)
        took_s = monotonic() - began
        # After 1 and 2 seconds.
        assert took_s > 2.8
        assert process_time() - used < 0.05 * took_s
    tries = [event.details.get("tries") for event in session.events.kept]
    assert tries[:3] == [None, 1, 2]


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipe in the place of camera 0, into which pictures are written as JPEG."""
    monkeypatch.setattr("sys.platform", "linux")
    place = {"linux": (f"{tmp_path}/video{{}}", "mjpeg")}
    monkeypatch.setattr("edgeprep.films._live._CAMERAS", place)
    path = tmp_path / "video0"
    os.mkfifo(path)
    return path


def jpeg(level: int, size: tuple[int, int] = (48, 64)) -> bytes:
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *size, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((*size, 3), level, np.uint8), format="rgb24")
    packets = [*encoder.encode(frame.reformat(format="yuvj420p")), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def plugged(device: Path, pictures: Iterable[bytes]) -> None:
    def write() -> None:
        with device.open("wb", buffering=0) as file, contextlib.suppress(BrokenPipeError):
            for picture in pictures:
                file.write(picture)

    threading.Thread(target=write, daemon=True).start()


def until_over(picture: bytes) -> Iterator[bytes]:
    """Pictures, fifty a second."""
    over.clear()
    while not over.wait(0.02):
        yield picture


def test_a_camera_that_is_unplugged_is_followed_when_it_is_plugged_in_again(
    open_session: Open, level: Level, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprep.runtime.live.back_off._FIRST_S", 0.1)
    session = open_session()
    plugged(device, [jpeg(50)] * 5)
    with session.stream(0, policy="every", timeout_s=10) as stream:
        assert near([level(next(stream)) for _ in range(5)], [50] * 5)
        plugged(device, until_over(jpeg(120)))
        assert near([level(next(stream)) for _ in range(5)], [120] * 5)
        over.set()
    message = "camera 0: must go on sending, got its end; trying again in "
    assert session.events.kept[0].message.startswith(message)


def test_a_driver_that_does_not_even_open_is_named_in_time(
    open_session: Open, device: Path
) -> None:
    # Opening a pipe waits until somebody writes, whatever the timeout of whoever reads.
    with open_session().stream(0, timeout_s=0.3, reconnect=0) as stream:
        message = r"^camera 0: must send a picture within 0\.3 s, got none$"
        with pytest.raises(StreamStalled, match=message):
            next(stream)
    plugged(device, [])


def test_a_camera_whose_size_changes_goes_on(
    open_session: Open, level: Level, device: Path
) -> None:
    pictures = [*[jpeg(50)] * 3, *[jpeg(90, (32, 40))] * 3, *[jpeg(120)] * 3]
    plugged(device, pictures)
    with open_session().stream(0, policy="every", reconnect=0) as stream:
        answers = list(stream)
    assert [answer.picture.shape[:2] for answer in answers] == [
        *[(48, 64)] * 3,
        *[(32, 40)] * 3,
        *[(48, 64)] * 3,
    ]
    assert near([level(answer) for answer in answers], [50, 50, 50, 90, 90, 90, 120, 120, 120])


def test_a_camera_that_one_may_not_open_is_named(open_session: Open, device: Path) -> None:
    device.chmod(0)
    session = open_session()
    # Root may open anything; another user's number makes no difference to anybody else.
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with session.stream(0, reconnect=0) as stream:
            message = (
                r"^camera 0: must be a source of pictures that can be opened, "
                r"got 'Permission denied'$"
            )
            with pytest.raises(FilmError, match=message):
                next(stream)
    finally:
        if user == 0:
            os.seteuid(user)


def test_pictures_that_are_broken_are_left_out(
    open_session: Open, level: Level, device: Path
) -> None:
    broken = bytearray(jpeg(50))
    broken[2:40] = bytes(38)
    plugged(device, [jpeg(50), bytes(broken), jpeg(90), jpeg(120)])
    with open_session().stream(0, policy="every", reconnect=0) as stream:
        levels = [level(answer) for answer in stream]
    assert near([levels[0], *levels[-2:]], [50, 90, 120])
