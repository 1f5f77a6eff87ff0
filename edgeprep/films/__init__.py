"""Films in and out, and live sources. They need PyAV; sessions, which take arrays, do not."""

import os
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from edgeprep.errors import BackendUnavailable
from edgeprep.films.frame import FilmFrame
from edgeprep.films.names import is_address, is_film, is_playlist
from edgeprep.pictures import MAX_PIXELS

if TYPE_CHECKING:
    from edgeprep.films._live import Source
    from edgeprep.films._read import Film
    from edgeprep.films._write import FilmWriter

__all__ = [
    "FilmFrame",
    "check_av",
    "check_source",
    "is_address",
    "is_film",
    "is_playlist",
    "open_film",
    "open_source",
    "write_film",
]


def check_av() -> None:
    """Find out before any work whether films can be read later.

    Raises:
        BackendUnavailable: PyAV is not installed.
    """
    _twin("_read")


def check_source(source: str) -> None:
    """Find out before any work whether there is such a camera, address or film, as far as is known.

    Args:
        source: "0" for the first camera, an address such as "rtsp://…", or the path of a film.

    Raises:
        FilmError: there is no such camera, or nothing live comes of such an address.
        StorageError: the file cannot be read, or is not a regular file.
        BackendUnavailable: PyAV is not installed.
    """
    _twin("_live").check_source(source)


def open_film(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    playlists: Literal["refuse", "follow"] = "refuse",
) -> "Film":
    """Open a film file; its frames come by iteration, upright and in RGB.

    Containers are those of MP4 and MOV, Matroska and WebM, AVI, MPEG and MPEG-TS. A file that
    names other files or addresses, such as a playlist, is none of them.

    Args:
        path: of a regular file.
        max_pixels: height times width above which a film is refused.
        playlists: "follow": a playlist (HLS), or a list of parts (ffconcat), is a film, too; of
            the files that it names, on this machine alone, the contents come out as pictures.

    Raises:
        StorageError: the file cannot be read, or is not a regular file.
        FilmError: it is not a film in one of these containers.
        ImageTooLarge: its pictures have more than `max_pixels` pixels.
        BackendUnavailable: PyAV is not installed.
    """
    film: Film = _twin("_read").open_film(Path(path), max_pixels, playlists)
    return film


def write_film(
    path: str | os.PathLike[str],
    *,
    fps: Fraction | float,
    aspect: Fraction = Fraction(1),
    overwrite: bool = False,
) -> "AbstractContextManager[FilmWriter]":
    """A film that appears at `path`, MP4, when the block ends: whole, or not at all.

    It is H.264 where PyAV's build has an encoder of it, MPEG-4 part 2 elsewhere.

    Args:
        path: where it shall appear. Its directory must exist.
        fps: how many pictures in a second; at most 240.
        aspect: how many times as wide as high a pixel is shown.
        overwrite: whether a file that is there already may be replaced.

    Raises:
        OutputExists: `path` is there already, and `overwrite` is False.
        StorageError: the file cannot be written.
        BackendUnavailable: PyAV is not installed, or has neither encoder.
    """
    writer: AbstractContextManager[FilmWriter] = _twin("_write").write_film(
        Path(path), fps=Fraction(fps), aspect=aspect, overwrite=overwrite
    )
    return writer


def open_source(source: str, *, timeout_s: float) -> "Source":
    """Connect to a camera, by its number, or to what an address sends.

    Args:
        source: "0" for the first camera, or an address such as "rtsp://…".
        timeout_s: for how long it may send nothing.

    Raises:
        StreamStalled: it sends nothing for so long.
        FilmError: there is no such camera, or the address does not answer with a film.
        BackendUnavailable: PyAV is not installed.
    """
    opened: Source = _twin("_live").open_source(source, timeout_s)
    return opened


def _twin(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(f"edgeprep.films.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "av":
            raise
        raise BackendUnavailable(
            "reading films needs PyAV, which is not installed; pip install edgeprep[video]"
        ) from error
