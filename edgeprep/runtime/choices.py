"""Choices that were measured before, kept in the user's cache directory."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from edgeprep.errors import StorageError
from edgeprep.monitor import Event
from edgeprep.runtime.private_files import find_folder, find_private, why, write_private

__all__ = ["ChoiceCache", "cache_directory", "is_over"]

_SCHEMA_VERSION = 4
# A driver may have been updated, or a device that was busy is free.
_KEPT_S = 24 * 3600.0


def cache_directory() -> str:
    """`EDGEPREP_CACHE`, else `edgeprep` under `XDG_CACHE_HOME`, else under `~/.cache`.

    A `~` that a shell has left, as of service files and containers, is a home directory here, too.

    Raises:
        StorageError: nothing says where, as in a container whose user has no home directory.
    """
    own, base = os.environ.get("EDGEPREP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    wanted = own or os.path.join(base or os.path.join("~", ".cache"), "edgeprep")
    found = os.path.expanduser(wanted)
    # What it answers of users whom the system does not know.
    if wanted.startswith("~") and found == wanted:
        remedy = "set EDGEPREP_CACHE to a whole path" if own else "set EDGEPREP_CACHE"
        raise StorageError(
            "cache directory: must lie in a home directory, got a user who has none; " + remedy
        )
    return found


def is_over(at: float) -> bool:
    """Whether a verdict of the time `at`, in seconds since 1970, counts no longer."""
    # NOTE: a clock that was set back makes what lies in the future no verdict of today.
    return not 0 <= time.time() - at < _KEPT_S


class _Record(Struct, frozen=True, kw_only=True):
    schema_version: int = _SCHEMA_VERSION
    key: str
    outcomes: list[dict[str, Any]]
    verdicts_at: tuple[float, ...] = ()


class ChoiceCache(Struct, frozen=True, kw_only=True):
    """One remembered choice: a file that is used only if every byte of it is as it was written.

    Args:
        key: digest of all that the choice depends on.
        tell: called with what cannot be used or kept; it is never an error.
        directory: where files lie; None: `cache_directory()`.
    """

    key: str
    tell: Callable[[Event], object]
    directory: str | None = None

    @property
    def path(self) -> str:
        """The file of this choice."""
        name = f"{self.key[:32]}.json"
        return os.path.join(self._root, "choices", name)

    @property
    def _root(self) -> str:
        return self.directory or cache_directory()

    def load(self) -> list[dict[str, Any]] | None:
        """The outcomes that were stored, the chosen one first; None where there are none.

        A file that is damaged, foreign or of another version counts as none: the choice is
        measured again and the file replaced. So does one that was made without a candidate whose
        verdict does not count any longer.
        """
        try:
            # Where choices are remembered, nothing else looks at what was left there.
            find_folder(os.path.join(self._root, "verdicts"), str)
            body = find_private(self.path, self.key, self._say_measured)
        except StorageError:  # there is no place, as `store` will say
            return None
        if body is None:
            return None
        try:
            record = msgspec.json.decode(body, type=_Record)
        except msgspec.DecodeError:
            return None
        current = record.schema_version == _SCHEMA_VERSION and record.key == self.key
        if not current or any(map(is_over, record.verdicts_at)):
            return None
        return record.outcomes or None

    def store(
        self, outcomes: Sequence[Mapping[str, Any]], verdicts_at: Iterable[float] = ()
    ) -> None:
        """Keep `outcomes`; where the file system refuses, say so and go on without.

        Args:
            outcomes: the chosen one first.
            verdicts_at: when the verdicts were given for which candidates were left out.
        """
        record = _Record(
            key=self.key,
            outcomes=[dict(outcome) for outcome in outcomes],
            verdicts_at=tuple(verdicts_at),
        )
        try:
            write_private(self.path, self.key, msgspec.json.encode(record), durable=True)
        except (OSError, StorageError) as error:
            self._say(f"the choice cannot be remembered: {why(error)}")

    def _say_measured(self, reason: str) -> None:
        self._say(f"{reason}, the choice is measured again")

    def _say(self, message: str) -> None:
        self.tell(Event(kind="cache", message=message))
