"""The twin of films that needs PyAV: cameras and addresses."""

import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import ExitError, FFmpegError
from numpy.typing import NDArray

from edgeprep.errors import FilmError, ImageTooLarge, StreamStalled
from edgeprep.films._upright import picture_of
from edgeprep.films.names import check_address, is_address, without_password
from edgeprep.pictures import MAX_PIXELS

__all__ = ["Source", "open_source"]

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
        try:
            for packet in self._container.demux(self._stream):
                # For every packet: those of sound, or what cannot be decoded, gives no picture.
                if self._stopped:
                    return
                self._note(packet)
                try:
                    frames = packet.decode()
                except ExitError:
                    raise
                except FFmpegError:
                    # Usual until the first whole picture of a stream that began before.
                    continue
                for frame in frames:
                    self._check_pixels(frame)
                    yield picture_of(frame)
        except ExitError as error:
            raise stalled(self.name, self._timeout_s) from error
        except FFmpegError as error:
            rule = "must go on sending"
            raise FilmError(f"{self.name}: {rule}, got {error.strerror!r}") from error

    def stop(self) -> None:
        """Let the iteration end at the next packet, or its timeout; from any thread."""
        self._stopped = True

    def close(self) -> None:
        """Let go of it."""
        self._container.close()

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
        return _open(name, timeout_s, source, None, _SOON)
    place = _CAMERAS.get(sys.platform)
    if place is None:
        rule = "cameras by number need Linux or macOS"
        raise FilmError(f"camera {source}: {rule}, got {sys.platform!r}; give its address")
    path, form = place
    return _open(f"camera {source}", timeout_s, path.format(source), form, {})


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
    try:
        container: Any = av.open(address, "r", format=form, options=options, timeout=timeout_s)
    except ExitError as error:
        raise stalled(name, timeout_s) from error
    except (FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        rule = "must be a source of pictures that can be opened"
        raise FilmError(f"{name}: {rule}, got {why!r}") from error
    if not container.streams.video:
        container.close()
        raise FilmError(f"{name}: must send pictures, got sound alone")
    return Source(name, container, timeout_s)
