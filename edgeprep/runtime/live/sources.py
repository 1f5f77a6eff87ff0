"""What may be followed, and how it is opened."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.errors import InputError
from edgeprep.films import FilmFrame, check_av, is_address, open_film, open_source
from edgeprep.films.names import check_address, without_password
from edgeprep.films.played import Played, Whole
from edgeprep.films.reading import LiveSource
from edgeprep.runtime.following import Following, Policy
from edgeprep.runtime.inputs import check_batch

__all__ = ["Given", "Source", "find_source"]


class Source(Struct, frozen=True, kw_only=True):
    """Something to follow.

    Attributes:
        name: as it may be shown: without its password.
        connect: opens it.
        policy: which of its pictures count.
        is_live: whether it has no end, and may be tried again where it is lost.
        is_rgb: whether its pictures are RGB, whatever the session takes.
    """

    name: str
    connect: Callable[[], LiveSource]
    policy: Policy
    is_live: bool
    is_rgb: bool


class Given:
    """Pictures of the caller.

    Args:
        pictures: are copied, as cameras write every picture into the same memory.
        time_of: when the picture of this number was taken, in seconds; None: unknown.
    """

    # They end where the caller lets them end.
    is_whole = True

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        time_of: Callable[[int], float | None],
    ) -> None:
        self._pictures = pictures
        self._time_of = time_of

    def __iter__(self) -> Iterator[Any]:
        """Each picture, or frame, where its time is known."""
        for index, picture in enumerate(self._pictures):
            copied = picture.copy() if isinstance(picture, np.ndarray) else picture
            time_s = self._time_of(index)
            yield copied if time_s is None else FilmFrame(index, time_s, copied)

    def stop(self) -> None:
        """Nothing: a caller's iterator ends when it gives its next picture."""

    def close(self) -> None:
        """Nothing."""


def find_source(
    source: object, following: Following, time_of: Callable[[int], float | None]
) -> Source:
    """What `source` means; see `Session.stream`.

    Args:
        source: a number, an address, a path, or pictures.
        following: how it is to be followed.
        time_of: when the picture of this number was taken, of pictures that a caller gives.

    Raises:
        InputError: it cannot be followed.
        BackendUnavailable: it is no iterator, and PyAV is not installed.
    """
    if isinstance(source, int):
        return _camera(source, following)
    if not isinstance(source, (str, os.PathLike)):
        pictures = check_batch(source)
        return Source(
            name="pictures",
            connect=lambda: Given(pictures, time_of),  # type: ignore[arg-type]  # each is checked when it comes
            policy=following.policy or "every",
            is_live=False,
            is_rgb=False,
        )
    check_av()
    path = str(os.fspath(source))
    if is_address(path):
        check_address(path)
        return Source(
            name=without_password(path),
            connect=lambda: open_source(path, timeout_s=following.timeout_s),
            policy=following.policy or "newest",
            is_live=True,
            is_rgb=True,
        )
    player: Callable[[Any], LiveSource] = Played if following.policy == "newest" else Whole
    return Source(
        name=path,
        connect=lambda: player(open_film(path, playlists=following.playlists)),
        policy=following.policy or "every",
        is_live=False,
        is_rgb=True,
    )


def _camera(number: int, following: Following) -> Source:
    if isinstance(number, bool) or number < 0:
        raise InputError(f"source: a camera's number must be whole and from 0, got {number!r}")
    check_av()
    return Source(
        name=f"camera {number}",
        connect=lambda: open_source(str(number), timeout_s=following.timeout_s),
        policy=following.policy or "newest",
        is_live=True,
        is_rgb=True,
    )
