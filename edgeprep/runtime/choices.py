"""Choices that were measured before, kept in the user's cache directory."""

import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from edgeprep.errors import EdgePrepError, StorageError
from edgeprep.files import atomic_write, open_regular

__all__ = ["ChoiceCache", "cache_directory"]

_SCHEMA_VERSION = 2


def cache_directory() -> str:
    """`EDGEPREP_CACHE`, else `edgeprep` under `XDG_CACHE_HOME`, else under `~/.cache`.

    Raises:
        StorageError: nothing says where, as in a container whose user has no home directory.
    """
    if own := os.environ.get("EDGEPREP_CACHE"):
        return own
    if base := os.environ.get("XDG_CACHE_HOME"):
        return os.path.join(base, "edgeprep")
    home = os.path.expanduser("~")
    if home == "~":  # what it answers of users whom the system does not know
        raise StorageError(
            "cache directory: must lie in a home directory, got a user who has none; "
            "set EDGEPREP_CACHE"
        )
    return os.path.join(home, ".cache", "edgeprep")


class _Record(Struct, frozen=True, kw_only=True):
    schema_version: int = _SCHEMA_VERSION
    key: str
    outcomes: list[dict[str, Any]]


class ChoiceCache(Struct, frozen=True, kw_only=True):
    """One remembered choice: a file that is used only if every byte of it is as it was written.

    Args:
        key: digest of all that the choice depends on.
        directory: where files lie; None: `cache_directory()`.
    """

    key: str
    directory: str | None = None

    @property
    def path(self) -> str:
        """The file of this choice."""
        name = f"{self.key[:32]}.json"
        return os.path.join(self.directory or cache_directory(), "choices", name)

    def load(self) -> list[dict[str, Any]] | None:
        """The outcomes that were stored, the chosen one first; None where there are none.

        A file that is damaged, foreign or of another version counts as none: the choice is
        measured again and the file replaced.
        """
        try:
            with open_regular(self.path) as file:
                digest, _, body = file.read().partition(b"\n")
        except OSError:
            return None
        if sha256(body).hexdigest().encode() != digest:
            _warn("%s: damaged, the choice is measured again", self.path)
            return None
        try:
            record = msgspec.json.decode(body, type=_Record)
        except msgspec.DecodeError:
            return None
        current = record.schema_version == _SCHEMA_VERSION and record.key == self.key
        return record.outcomes if current and record.outcomes else None

    def store(self, outcomes: list[Mapping[str, Any]]) -> None:
        """Keep `outcomes`; where the file system refuses, say so once and go on without."""
        record = _Record(key=self.key, outcomes=[dict(outcome) for outcome in outcomes])
        body = msgspec.json.encode(record)
        content = sha256(body).hexdigest().encode() + b"\n" + body
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            atomic_write(self.path, [content], overwrite=True)
        except (OSError, EdgePrepError) as error:
            _warn("the choice cannot be remembered: %s", error)


def _warn(message: str, *arguments: object) -> None:
    # Here, as logging takes longer to import than a choice to be read, and is rarely needed.
    import logging

    logging.getLogger("edgeprep").warning(message, *arguments)
