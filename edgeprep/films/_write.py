"""The twin of films that needs PyAV: films of what was drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from edgeprep.errors import BackendUnavailable, ShapeError, StorageError
from edgeprep.files import atomic_open

__all__ = ["FilmWriter", "write_film"]

_ENCODERS = ("libx264", "libopenh264", "mpeg4")
# Source: x264's own scale, on which 18 is nearly the same as the original; drawn lines stay sharp.
_OPTIONS = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "2"}}
# MPEG-4 part 2 has no finer times than 1/65535 s.
_FINEST = 60_000
# Of a film that says the ticks of its clock in the place of a rate, as MPEG-TS may.
_FASTEST = 240


class FilmWriter:
    """Takes the pictures of a film, all of the size of the first.

    Attributes:
        frames: how many there are by now.
    """

    def __init__(
        self, path: Path, container: OutputContainer, fps: Fraction, aspect: Fraction
    ) -> None:
        self.frames = 0
        self._path = path
        self._container = container
        fps = min(fps, Fraction(_FASTEST))
        # The numerator of a rate is what its clock ticks in a second.
        most = int(_FINEST / fps) if _encoder() == "mpeg4" else _FINEST
        self._fps = fps.limit_denominator(max(min(most, _FINEST), 1))
        self._aspect = aspect
        self._stream: Any = None
        self._shape: tuple[int, ...] | None = None
        self._last = -1

    def add(self, picture: NDArray[np.uint8], time_s: float | None = None) -> None:
        """Put one picture at the end.

        Args:
            picture: `(H, W, 3)`, uint8, RGB. Where a side is odd, its last row or column is
                repeated: films have even sides.
            time_s: when it is shown, in seconds after the first; None: at the steady rate.

        Raises:
            ShapeError: it is not of the size of the first.
        """
        if self._shape is None:
            self._shape = picture.shape
            self._stream = self._add_stream(picture.shape[0], picture.shape[1])
        if picture.shape != self._shape:
            rule = f"picture: must have the size of the film, {self._shape}"
            raise ShapeError(f"{rule}, got {picture.shape}")
        frame = av.VideoFrame.from_ndarray(_even(picture), format="rgb24")
        base = self._stream.codec_context.time_base
        place_s = Fraction(self.frames) / self._fps if time_s is None else Fraction(time_s)
        # Two pictures at one time are none to a player.
        self._last = frame.pts = max(round(place_s / base), self._last + 1)
        frame.time_base = base
        self._mux(frame)
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds back."""
        if self._stream is not None:
            self._mux(None)

    def _add_stream(self, height: int, width: int) -> Any:
        name = _encoder()
        stream: Any = self._container.add_stream(name, rate=self._fps)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = self._aspect
        stream.options = _OPTIONS.get(name, {})
        ticks = self._fps.numerator
        # Fine enough to keep the times of a film whose frames come as they like.
        stream.codec_context.time_base = Fraction(1, ticks * max(_FINEST // ticks, 1))
        return stream

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


@contextmanager
def write_film(
    path: Path, *, fps: Fraction, aspect: Fraction, overwrite: bool
) -> Iterator[FilmWriter]:
    """See `edgeprep.films.write_film`."""
    _encoder()
    with atomic_open(path, overwrite=overwrite) as stream:
        try:
            with av.open(stream, "w", format="mp4") as container:
                writer = FilmWriter(path, container, fps, aspect)
                yield writer
                writer.finish()
        except FFmpegError as error:
            rule = "must be a film that can be written"
            raise StorageError(f"{path}: {rule}, got {error.strerror!r}") from error


def _encoder() -> str:
    for name in _ENCODERS:
        try:
            Codec(name, "w")
        except UnknownCodecError:
            continue
        return name
    raise BackendUnavailable(
        f"writing films needs one of the encoders {', '.join(_ENCODERS)}, which this build of "
        "PyAV has not; pip install av"
    )


def _even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)
