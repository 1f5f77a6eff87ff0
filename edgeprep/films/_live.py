"""The twin of films that needs PyAV: cameras and addresses."""

import os
import sys
from collections.abc import Iterator
from errno import EIO, ENOENT
from fractions import Fraction
from functools import partial
from pathlib import Path
from socket import getaddrinfo
from typing import Any

import av
import numpy as np
from av.error import ExitError, InvalidDataError, ProtocolNotFoundError
from numpy.typing import NDArray

from edgeprep.errors import FilmError, ImageTooLarge, StreamStalled
from edgeprep.files import open_regular
from edgeprep.films._foreign import told_as, why
from edgeprep.films._upright import picture_of
from edgeprep.films.names import (
    check_address,
    host_of,
    is_address,
    is_playlist,
    with_plain_scheme,
    without_password,
)
from edgeprep.pictures import MAX_PIXELS

__all__ = ["Source", "check_source", "open_source"]

# What an address may lead to; see the schemes in names.py.
_PROTOCOLS = "crypto,http,httpproxy,https,rtmp,rtmps,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp"
# A second, in microseconds, to find out what is sent, and no lost packets of UDP. What is read
# meanwhile is decoded at once, and older pictures give way to newer ones.
_SOON = {
    "protocol_whitelist": _PROTOCOLS,
    "analyzeduration": "1000000",
    "rtsp_transport": "tcp",
}
# What its last packet lacks, and sound that goes on after the last picture, make a film shorter.
_ALMOST = 0.9
# Their size is not that of what they name.
_PLAYLISTS = ("dash", "hls")
_OPENED = "must be a source of pictures that can be opened"
_CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation")}


class Source:
    """What is being sent: its pictures by iterating over it once.

    Attributes:
        name: of the source, as it may be shown.
        fps: how many pictures a second it says that it sends; None: it does not say.
    """

    def __init__(self, name: str, container: Any, timeout_s: float) -> None:
        self.name = name
        self._container = container
        self._timeout_s = timeout_s
        self._stopped = False
        self._stream = container.streams.video[0]
        self.fps: Fraction | None = self._stream.average_rate or None
        self._promised_s = _promised_s(container, self._stream)
        self._promised_bytes = 0 if container.format.name in _PLAYLISTS else container.size
        self._first_s: float | None = None
        self._sent_s = 0.0
        self._sent_bytes = 0

    @property
    def is_whole(self) -> bool:
        """Whether it has sent all that it said it would: of a film, and of nothing live."""
        return (
            0 < _ALMOST * self._promised_s <= self._sent_s
            or 0 < _ALMOST * self._promised_bytes <= self._sent_bytes
        )

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """`(H, W, 3)`, uint8, RGB, upright, as they come; parts that are broken are left out.

        Raises:
            StreamStalled: nothing came for the time that was allowed.
            FilmError: the connection is lost.
            ImageTooLarge: the pictures have too many pixels.
        """
        with told_as(self._lost):
            for packet in self._container.demux(self._stream):
                # For every packet: those of sound, or what cannot be decoded, gives no picture.
                if self._stopped:
                    return
                self._note(packet)
                try:
                    frames = packet.decode()
                except ExitError:
                    raise
                except Exception:  # noqa: BLE001, S112 -- usual until the first whole picture
                    # Of a stream that began before.
                    continue
                for frame in frames:
                    self._check_pixels(frame)
                    yield picture_of(frame)

    def stop(self) -> None:
        """Let the iteration end at the next packet, or its timeout; from any thread."""
        self._stopped = True

    def close(self) -> None:
        """Let go of it."""
        self._container.close()

    def _lost(self, error: Exception) -> FilmError:
        if isinstance(error, ExitError):
            return stalled(self.name, self._timeout_s)
        return FilmError(f"{self.name}: must go on sending, got {why(error)}")

    def _note(self, packet: Any) -> None:
        """How far it is, in seconds and bytes."""
        if packet.pts is not None:
            start_s = float(packet.pts * packet.time_base)
            end_s = start_s + float((packet.duration or 0) * packet.time_base)
            self._first_s = start_s if self._first_s is None else min(self._first_s, start_s)
            self._sent_s = max(self._sent_s, end_s - self._first_s)
        if packet.pos is not None:
            self._sent_bytes = max(self._sent_bytes, packet.pos + packet.size)

    def _check_pixels(self, frame: Any) -> None:
        if frame.width * frame.height > MAX_PIXELS:
            size = f"{frame.width} × {frame.height}"
            raise ImageTooLarge(f"{self.name}: must have at most {MAX_PIXELS} pixels, got {size}")


def open_source(source: str, timeout_s: float) -> Source:
    """See `edgeprep.films.open_source`."""
    if is_address(source):
        check_address(source)
        name = without_password(source)
        return _open(name, timeout_s, with_plain_scheme(source), None, _SOON)
    place, form = _camera_of(source)
    return _open(f"camera {source}", timeout_s, place, form, {})


def _camera_of(number: str) -> tuple[str, str]:
    """Where the camera of this number is, and how FFmpeg calls such.

    Raises:
        FilmError: there is none, or nobody can say where.
    """
    place = _CAMERAS.get(sys.platform)
    if place is None:
        rule = "cameras by number need Linux or macOS"
        raise FilmError(f"camera {number}: {rule}, got {sys.platform!r}; give its address")
    path, form = place
    found = path.format(number)
    if form == "v4l2" and not Path(found).exists():
        raise FilmError(f"camera {number}: {_OPENED}, got {os.strerror(ENOENT)!r}")
    return found, form


def check_source(source: str) -> None:
    """See `edgeprep.films.check_source`."""
    if is_address(source):
        check_address(source)
    elif source.isdecimal():
        _camera_of(source)
    else:
        open_regular(source).close()


def stalled(name: str, timeout_s: float) -> StreamStalled:
    """The error of a source that has sent nothing for so long."""
    return StreamStalled(f"{name}: must send a picture within {timeout_s:g} s, got none")


def _promised_s(container: Any, stream: Any) -> float:
    """How long it says that it is, in seconds; 0: it does not, as what is live."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return float((container.duration or 0) / av.time_base)


def _open(
    name: str, timeout_s: float, address: str, form: str | None, options: dict[str, str]
) -> Source:
    with told_as(partial(_unopened, name, timeout_s, address)):
        container: Any = av.open(address, "r", format=form, options=options, timeout=timeout_s)
        try:
            if not container.streams.video:
                raise FilmError(f"{name}: must send pictures, got sound alone")
            return Source(name, container, timeout_s)
        except BaseException:
            container.close()
            raise


def _unopened(name: str, timeout_s: float, address: str, error: Exception) -> FilmError:
    if isinstance(error, ExitError):
        return stalled(name, timeout_s)
    if isinstance(error, ProtocolNotFoundError):
        rule = "must be of a protocol that this build of PyAV has"
        return FilmError(f"{name}: {rule}, got {address.partition('://')[0]!r}")
    return FilmError(f"{name}: {_OPENED}, got {why(error)}{_hint(address, error)}")


def _hint(address: str, error: Exception) -> str:
    """What FFmpeg knows, and does not say."""
    if isinstance(error, InvalidDataError) and is_playlist(address.partition("?")[0]):
        return "; a playlist at an address must name addresses, and no files"
    host = host_of(address) if is_address(address) else ""
    if getattr(error, "errno", None) == EIO and host and not _is_known(host):
        # NOTE: it is not named, as of an odd password it may be the first part.
        return "; its host is not known here"
    return ""


def _is_known(host: str) -> bool:
    try:
        getaddrinfo(host, None)
    except (OSError, ValueError):
        return False
    return True
