"""What a word on the command line means, by its looks."""

import os
import re

from edgeprep.errors import FilmError

__all__ = [
    "check_address",
    "host_of",
    "is_address",
    "is_film",
    "is_playlist",
    "with_plain_scheme",
    "without_password",
]

# Which files are meant; what is in them is found out by reading.
_EXTENSIONS = frozenset(
    {
        ".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts",
        ".webm",
    }
)  # fmt: skip
_PLAYLISTS = frozenset({".ffconcat", ".m3u", ".m3u8"})
# NOTE: not "file", nor what joins or cuts files: an address may not read what is on this machine.
_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
# One may listen at a port of this machine with these.
_WITHOUT_HOST = ("rtp", "srt", "tcp", "udp")


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a file is meant to be a film, by its extension in any case."""
    return _extension(path) in _EXTENSIONS


def is_playlist(path: str | os.PathLike[str]) -> bool:
    """Whether a file is meant to name films, likewise."""
    return _extension(path) in _PLAYLISTS


def is_address(word: str) -> bool:
    """Whether `word` is an address, and no path."""
    return "://" in word


def check_address(address: str) -> None:
    """Refuse an address of which nothing live comes.

    Raises:
        FilmError: its scheme is none of those known, or it has no host.
    """
    scheme, _, rest = address.partition("://")
    if scheme.lower() not in _SCHEMES:
        known = ", ".join(map(repr, _SCHEMES))
        rule = f"must begin with one of {known}"
        raise FilmError(f"{without_password(address)}: {rule}, got {scheme!r}")
    if not host_of(address) and not (rest and scheme.lower() in _WITHOUT_HOST):
        raise FilmError(f"{without_password(address)}: must have a host, got none")


def host_of(address: str) -> str:
    """The host in `address`; "": there is none, or one that begins like no other."""
    place = re.split("[/?#]", address.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    if place.startswith("["):
        host, end, _ = place[1:].partition("]")
        return host if end else ""
    return place.partition(":")[0]


def with_plain_scheme(address: str) -> str:
    """`address` as FFmpeg takes it, which knows schemes in small letters alone."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def without_password(address: str) -> str:
    """`address` as it may be shown: cameras have their password in it, in one place or another.

    What comes before "@" is left out, and so are queries and all that stands behind "="; or all but
    the scheme, where nobody can tell whether a "?" begins a query or is part of a password.
    """
    scheme, separator, rest = address.partition("://")
    rest, question, query = rest.partition("?")
    if ":" in rest and "@" in query:
        return f"{scheme}{separator}***"
    place = rest.partition("/")[0]
    user, at = "", ""
    # NOTE: up to the last one wherever there is a colon: a password may have "/" in it.
    if "@" in place or ":" in place:
        user, at, rest = rest.rpartition("@")
    rest = re.sub(r"(?<==)[^&;/]+", "***", rest)
    return f"{scheme}{separator}{'***@' if at and user else ''}{rest}{'?***' if question else ''}"


def _extension(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(os.fspath(path))[1].lower()  # noqa: PTH122
