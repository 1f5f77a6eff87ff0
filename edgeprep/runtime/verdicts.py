"""What candidates were rejected for before, kept in the user's cache directory for a while."""

import os
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec import Struct

from edgeprep.errors import (
    BackendCrashed,
    BackendOutOfMemory,
    BackendTimeout,
    BackendWrongOutput,
    EdgePrepError,
)
from edgeprep.files import atomic_write, open_regular
from edgeprep.interfaces import Backend
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.choices import cache_directory
from edgeprep.runtime.machine import fingerprint
from edgeprep.version import __version__

__all__ = ["Kind", "VerdictCache", "kind_of"]

# "died": this process, or one like it, ended while it loaded the candidate.
Kind = Literal["crashed", "timeout", "memory", "wrong", "died"]
_KINDS: Mapping[type[Exception], Kind] = {
    BackendCrashed: "crashed",
    BackendTimeout: "timeout",
    BackendOutOfMemory: "memory",
    BackendWrongOutput: "wrong",
}
_SCHEMA_VERSION = 1
# A driver may have been updated, or a device that was busy is free.
_KEPT_S = 24 * 3600.0
# One death may be a power cut, or somebody who was in a hurry.
_DEATHS = 2


def kind_of(fault: Exception) -> Kind | None:
    """The kind of verdict that `fault` is; None where another try may well succeed."""
    return next((kind for error, kind in _KINDS.items() if isinstance(fault, error)), None)


class _Verdict(Struct, frozen=True, kw_only=True):
    candidate: Candidate
    engine: str
    kind: Kind
    reason: str
    at: float
    times: int = 1

    @property
    def is_over(self) -> bool:
        # NOTE: a clock that was set back makes what lies in the future no verdict of today.
        return not 0 <= time.time() - self.at < _KEPT_S

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.at))
        return f"{self.reason} (kept from {when})"


class _Record(Struct, frozen=True, kw_only=True):
    schema_version: int = _SCHEMA_VERSION
    edgeprep: str
    bundle: str
    verdicts: tuple[_Verdict, ...]


class VerdictCache:
    """Verdicts on the candidates of one bundle, or on backends whatever they run.

    A verdict counts for a day, and as long as neither edgeprep nor the engine is another. Where
    nothing can be read or written, nothing is kept.

    Args:
        bundle: the digest of the bundle; "" for backends.
    """

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        self._engines: dict[type[Backend], str] = {}
        self._kept: tuple[_Verdict, ...] | None = None

    def find(self, candidate: Candidate, backend: type[Backend]) -> str | None:
        """Why `candidate` is not to be tried, and since when; None if it is."""
        for verdict in self._load():
            if verdict.candidate == candidate and self._counts(verdict, backend):
                return str(verdict)
        return None

    def keep(self, candidate: Candidate, backend: type[Backend], fault: Exception) -> None:
        """Keep what `fault` says of `candidate`, if it is of a kind that is kept."""
        kind = kind_of(fault)
        if kind is not None:
            self._add(candidate, backend, kind, str(fault))

    def died(self, candidate: Candidate, backend: type[Backend]) -> None:
        """A process died while it loaded `candidate`: once more, or for the first time."""
        reason = f"the process that loaded it died, {_DEATHS} times"
        self._add(candidate, backend, "died", reason)

    def forget(self, candidate: Candidate | None = None) -> None:
        """Forget what is kept of `candidate`; None: of all."""
        kept = self._load()
        left = tuple(one for one in kept if candidate not in (None, one.candidate))
        if left != kept:
            self._store(left)

    def _add(self, candidate: Candidate, backend: type[Backend], kind: Kind, reason: str) -> None:
        self._kept = None  # others may have stored some meanwhile
        kept = [one for one in self._load() if not one.is_over]
        before = [one for one in kept if (one.candidate, one.kind) == (candidate, kind)]
        fresh = _Verdict(
            candidate=candidate,
            engine=self._engine(backend),
            kind=kind,
            reason=reason,
            at=time.time(),
            times=1 + max((one.times for one in before), default=0),
        )
        self._store((*(one for one in kept if one.candidate != candidate), fresh))

    def _counts(self, verdict: _Verdict, backend: type[Backend]) -> bool:
        if verdict.is_over or (verdict.kind == "died" and verdict.times < _DEATHS):
            return False
        return verdict.engine == self._engine(backend)

    def _engine(self, backend: type[Backend]) -> str:
        if backend not in self._engines:
            plugin = backend.__module__.partition(".")[0]
            self._engines[backend] = fingerprint((backend,), (plugin,))
        return self._engines[backend]

    @property
    def _path(self) -> str:
        key = sha256(f"{__version__}\n{self._bundle}".encode()).hexdigest()
        return os.path.join(cache_directory(), "verdicts", f"{key[:32]}.json")

    def _load(self) -> tuple[_Verdict, ...]:
        if self._kept is None:
            self._kept = self._read()
        return self._kept

    def _read(self) -> tuple[_Verdict, ...]:
        try:
            with open_regular(self._path) as file:
                digest, _, body = file.read().partition(b"\n")
            if sha256(body).hexdigest().encode() != digest:
                return ()
            record = msgspec.json.decode(body, type=_Record)
        except (OSError, msgspec.DecodeError):
            return ()
        wanted = (_SCHEMA_VERSION, __version__, self._bundle)
        found = (record.schema_version, record.edgeprep, record.bundle)
        return record.verdicts if found == wanted else ()

    def _store(self, verdicts: tuple[_Verdict, ...]) -> None:
        self._kept = verdicts
        record = _Record(edgeprep=__version__, bundle=self._bundle, verdicts=verdicts)
        body = msgspec.json.encode(record)
        content = sha256(body).hexdigest().encode() + b"\n" + body
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            atomic_write(self._path, [content], overwrite=True)
        except (OSError, EdgePrepError):
            # The choice that is stored next says so, in one place for all.
            return
