"""The twin of films that needs PyAV: film files."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from edgeprep.closing import Closing
from edgeprep.errors import FilmError, ImageTooLarge
from edgeprep.files import open_regular
from edgeprep.films._foreign import told_as, why
from edgeprep.films._upright import is_turned, picture_of
from edgeprep.films.frame import FilmFrame
from edgeprep.films.stamps import Stamps

__all__ = ["Film", "open_film"]

# NOTE: what FFmpeg may take a file for, and what may be read beside it: nothing. Playlists and
# lists of parts name other files and addresses, and their contents would come out as pictures.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo"
_ONLY_THIS_FILE = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
# The contents of what they name come out as pictures: asked for, of files of this machine alone.
_FILES_TOO = {
    "format_whitelist": f"{_DEMUXERS},hls,concat",
    "protocol_whitelist": "file",
    # Names of parts may be absolute, as a person's own list has them.
    "safe": "0",
}
# How HLS, and a list of parts of FFmpeg, begin.
_PLAYLIST_MARKS = (b"#EXTM3U", b"ffconcat version")
_MARK_BYTES = 64
# How long a frame lasts where a film says nothing.
_PERIOD_S = 0.04


class Film(Closing):
    """An open film file: a context manager, and its frames by iterating over it once.

    Attributes:
        path: of the file.
        fps: how many frames a second, in the mean; None: the film does not say.
        promised_s: how long the film says it is, in seconds; None where it does not.
        aspect: how many times as wide as high a pixel is, upright; known from the first frame on.
        broken: how many parts could not be decoded so far; their frames are left out.
    """

    def __init__(self, path: Path, file: BinaryIO, container: InputContainer, max_pixels: int):
        self.path = path
        self._file = file
        self._container = container
        self._max_pixels = max_pixels
        self._stream = container.streams.video[0]
        # NOTE: not "FRAME": with several frames under way, one that is broken takes others along.
        self._stream.thread_type = "SLICE"
        self.fps: Fraction | None = self._stream.average_rate or self._stream.guessed_rate
        self.promised_s = _promised_s(container, self._stream, self.fps)
        self.aspect = Fraction(1)
        self.broken = 0

    def __iter__(self) -> Iterator[FilmFrame]:
        """The frames in the order in which they are shown.

        Raises:
            FilmError: after the last frame that there is, where the film ends early, parts of it
                could not be decoded, or the size changes.
        """
        with told_as(self._unread):
            yield from self._frames()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()
        self._file.close()

    def _frames(self) -> Iterator[FilmFrame]:
        first: tuple[VideoFrame, float] | None = None
        end_s = 0.0
        index = 0
        stamps = Stamps(float(1 / self.fps) if self.fps else _PERIOD_S)
        for frame in self._decoded():
            start_s, length_s = self._times(frame, index)
            if first is None:
                first = frame, start_s
                aspect = self._stream.sample_aspect_ratio or Fraction(1)
                self.aspect = 1 / aspect if is_turned(frame) else aspect
                self._check_pixels(frame)
            self._check_size(frame, first[0], index)
            time_s = stamps.next(start_s - first[1])
            end_s = max(end_s, start_s - first[1] + length_s)
            yield FilmFrame(index, time_s, picture_of(frame))
            index += 1
        self._check_end(index, end_s)

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                frames: list[Any] = packet.decode()
            except Exception:  # noqa: BLE001 -- it is counted, and told at the end
                self.broken += 1
                continue
            yield from frames

    def _unread(self, error: Exception) -> FilmError:
        rule = "must be a film that can be read to its end"
        return FilmError(f"{self.path}: {rule}, got {why(error)}")

    def _times(self, frame: VideoFrame, index: int) -> tuple[float, float]:
        """When `frame` is shown, and for how long, in seconds."""
        length_s = float(1 / self.fps) if self.fps else 0.0
        if frame.pts is None or frame.time_base is None:
            return index * length_s, length_s
        if frame.duration:
            length_s = float(frame.duration * frame.time_base)
        return float(frame.pts * frame.time_base), length_s

    def _check_pixels(self, frame: VideoFrame) -> None:
        if frame.width * frame.height > self._max_pixels:
            raise _too_large(self.path, frame.width, frame.height, self._max_pixels)

    def _check_size(self, frame: VideoFrame, first: VideoFrame, index: int) -> None:
        if (frame.width, frame.height) != (first.width, first.height):
            size, got = f"{first.width}×{first.height}", f"{frame.width}×{frame.height}"
            rule = f"frame {index} must have the size of those before it, {size}"
            raise FilmError(f"{self.path}: {rule}, got {got}")

    def _check_end(self, count: int, end_s: float) -> None:
        parts = f"; {self.broken} parts of it cannot be decoded" if self.broken else ""
        if not count:
            raise FilmError(f"{self.path}: must have frames, got none{parts}")
        promised = self.promised_s
        # Half a second, or three frames of a slow film: what an encoder's delay and its rounding
        # come to.
        slack_s = max(0.5, float(3 / self.fps) if self.fps else 0.0)
        if promised is not None and end_s < promised - min(slack_s, 0.05 * promised + 0.01):
            rule = f"must be {promised:.2f} s long, as it says"
            got = f"got an end after {end_s:.2f} s and {count} frames"
            raise FilmError(f"{self.path}: {rule}, {got}{parts}")
        if self.broken:
            rule = "all of it must be frames that can be decoded"
            got = f"got {self.broken} parts that cannot, and {count} frames"
            raise FilmError(f"{self.path}: {rule}, {got}")


def open_film(path: Path, max_pixels: int, playlists: str) -> Film:
    """See `edgeprep.films.open_film`."""
    file = open_regular(path)
    try:
        with told_as(partial(_refused, path, file, playlists)):
            if playlists == "follow":
                # By its name, as names in it are relative to that.
                container = av.open(str(path.absolute()), "r", options=_FILES_TOO)
            else:
                container = av.open(file, "r", options=_ONLY_THIS_FILE)
            try:
                return _film(path, file, container, max_pixels)
            except BaseException:
                container.close()
                raise
    except BaseException:
        file.close()
        raise


def _refused(path: Path, file: BinaryIO, playlists: str, error: Exception) -> FilmError:
    rule = "must be a film (MP4, MOV, Matroska, WebM, AVI, MPEG)"
    if _is_playlist(file) and playlists != "follow":
        remedy = "name the films in it, or follow it from a program"
        return FilmError(f"{path}: {rule}, got a playlist of other files; {remedy}")
    return FilmError(f"{path}: {rule}, got one that fails with {why(error)}")


def _is_playlist(file: BinaryIO) -> bool:
    """Whether `file` begins as those do that name other files."""
    try:
        file.seek(0)
        begin = file.read(_MARK_BYTES)
    except (OSError, ValueError):
        return False
    return begin.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_PLAYLIST_MARKS)


def _film(path: Path, file: BinaryIO, container: InputContainer, max_pixels: int) -> Film:
    if not container.streams.video:
        raise FilmError(f"{path}: must have pictures, got a film of sound alone")
    context = container.streams.video[0].codec_context
    if context is None:
        rule = "must be coded as this build of PyAV can decode it"
        raise FilmError(f"{path}: {rule}, got another coding")
    if context.width * context.height > max_pixels:
        raise _too_large(path, context.width, context.height, max_pixels)
    return Film(path, file, container, max_pixels)


def _promised_s(container: InputContainer, stream: Any, fps: Fraction | None) -> float | None:
    if container.format.name == "avi" and stream.frames and fps:
        # FFmpeg makes the length of a file that is cut short fit what is there; not the count.
        return float(stream.frames / fps)
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    end_s = _seconds(stream.metadata.get("DURATION", ""))
    if end_s is None or stream.start_time is None:
        return end_s
    # The tag says when the last picture ends, though the first one may begin late.
    return end_s - float(stream.start_time * stream.time_base)


def _seconds(text: str) -> float | None:
    """What Matroska's tag says, as "00:01:02.500000000"."""
    try:
        hours, minutes, seconds = map(float, text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _too_large(path: Path, width: int, height: int, most: int) -> ImageTooLarge:
    got = f"{width * height} ({width} × {height})"
    return ImageTooLarge(f"{path}: pictures must have at most {most} pixels, got {got}")
