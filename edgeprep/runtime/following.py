"""How a source is followed."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Literal, get_args

from msgspec import Struct

from edgeprep.errors import DTypeError, InputError

__all__ = [
    "MOST_TIMEOUT_S",
    "Following",
    "Playlists",
    "Policy",
    "Reconnect",
    "check_every",
    "check_pace",
    "check_source",
]

# A day. What waits in threads and in FFmpeg cannot count much further than some years.
MOST_TIMEOUT_S = 86_400

Policy = Literal["newest", "every"]
Playlists = Literal["refuse", "follow"]
# How often in a row; "always": for ever; None: for ever, once a picture has come.
Reconnect = int | Literal["always"] | None


class Following(Struct, frozen=True, kw_only=True):
    """How a source is followed; see `Session.stream`.

    Attributes:
        policy: which of its pictures count; None: as is usual for its kind.
        queue: how many may wait between two steps, where all count.
        timeout_s: for how long a live source may send nothing.
        reconnect: how often in a row it is tried again.
        playlists: whether a film may name other files.
    """

    policy: Policy | None
    queue: int
    timeout_s: float
    reconnect: Reconnect
    playlists: Playlists

    def check(self) -> None:
        """Refuse what is not as the types say.

        Raises:
            InputError: for the first such.
        """
        _check_word("policy", self.policy, (None, *get_args(Policy)))
        _check_word("playlists", self.playlists, get_args(Playlists))
        if not _is_whole(self.queue, least=1):
            raise InputError(f"queue: must be a whole number from 1, got {self.queue!r}")
        if not (_is_number(self.timeout_s) and 0 < self.timeout_s <= MOST_TIMEOUT_S):
            rule = f"must be above 0 and at most {MOST_TIMEOUT_S}"
            raise InputError(f"timeout_s: {rule}, got {self.timeout_s!r}")
        if not (_is_whole(self.reconnect, least=0) or _is_word(self.reconnect, (None, "always"))):
            rule = "must be a whole number from 0, 'always' or None"
            raise InputError(f"reconnect: {rule}, got {self.reconnect!r}")


def check_source(source: object) -> None:
    """Refuse what is nothing that can be followed; see `Session.stream`.

    Raises:
        DTypeError: it is of another type.
        InputError: it is an empty path.
    """
    rule = "must be a camera's number, an address, the path of a film, or pictures"
    named = os.fspath(source) if isinstance(source, os.PathLike) else source
    is_one = isinstance(named, int | str | Iterable)
    if not is_one or isinstance(named, bytes | bytearray | memoryview | Mapping):
        raise DTypeError(f"source: {rule}, got {type(named).__name__!r}")
    if isinstance(named, str) and not named:
        raise InputError(f"source: {rule}, got ''")


def check_pace(
    fps: float | None, clock: Callable[[], float] | None
) -> float | Callable[[], float] | None:
    """Which of both says when pictures were taken; None: nobody does. See `Session.stream`.

    Raises:
        InputError: one is not as the types say, or both are given.
    """
    if fps is not None and not (_is_number(fps) and 0 < fps < inf):
        raise InputError(f"fps: must be above 0 and finite, got {fps!r}")
    if fps is not None and clock is not None:
        raise InputError(f"fps: must be absent where a clock is given, got {fps!r}")
    if clock is not None and not callable(clock):
        rule = "must be None or give the time in seconds when it is called"
        raise InputError(f"clock: {rule}, got {clock!r}")
    return fps or clock


def check_every(every: int, *, clips: bool) -> None:
    """Refuse after how many pictures the network cannot look again; see `Session.stream`.

    Args:
        every: so many.
        clips: whether the network takes several pictures at a time.

    Raises:
        InputError: it is no whole number from 1, or above 1 where the network takes one picture.
    """
    if not _is_whole(every, least=1):
        raise InputError(f"every: must be a whole number from 1, got {every!r}")
    if every > 1 and not clips:
        remedy = "the stage 'frames' drops pictures"
        rule = "must be 1 where the network takes one picture at a time"
        raise InputError(f"every: {rule}, got {every!r}; {remedy}")


def _check_word(where: str, value: object, known: Sequence[str | None]) -> None:
    if not _is_word(value, known):
        words = ", ".join(map(repr, known))
        raise InputError(f"{where}: must be one of {words}, got {value!r}")


def _is_number(value: object) -> bool:
    # NOTE: `bool` is an `int`.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_word(value: object, known: Sequence[str | None]) -> bool:
    # NOTE: an array that is compared is no truth.
    return isinstance(value, str | None) and value in known


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
