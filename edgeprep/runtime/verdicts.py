"""What candidates were rejected for before, kept in the user's cache directory for a while."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec import Struct

from edgeprep.errors import (
    BackendCrashed,
    BackendOutOfMemory,
    BackendTimeout,
    BackendWrongOutput,
    StorageError,
)
from edgeprep.interfaces import Backend
from edgeprep.monitor import Event
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.choices import cache_directory, is_over
from edgeprep.runtime.machine import fingerprint
from edgeprep.runtime.private_files import find_private, write_private
from edgeprep.version import __version__
from edgeprep.workers.limits import Limits

__all__ = ["Kind", "VerdictCache", "kind_of"]

# "died": this process, or one like it, ended while it loaded the candidate.
Kind = Literal["crashed", "timeout", "memory", "wrong", "died"]
_KINDS: Mapping[type[Exception], Kind] = {
    BackendCrashed: "crashed",
    BackendTimeout: "timeout",
    BackendOutOfMemory: "memory",
    BackendWrongOutput: "wrong",
}
_SCHEMA_VERSION = 2
# What limits may have brought about: who has too little memory may die of it in any way.
_BY_LIMITS = frozenset({"crashed", "timeout", "memory"})
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
    limits: tuple[float, ...]
    times: int = 1

    @property
    def is_over(self) -> bool:
        return is_over(self.at)

    @property
    def is_first_death(self) -> bool:
        return self.kind == "died" and self.times < _DEATHS

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

    A verdict counts for a day, and as long as neither edgeprep nor the engine is another; one that
    limits may have brought about, as long as none allows more than then. Where nothing can be read
    or written, nothing is kept.

    Args:
        bundle: the digest of the bundle; "" for backends.
        tell: called with what is there and cannot be used.
        limits: what a worker may take; None: the usual.
    """

    def __init__(
        self, bundle: str, tell: Callable[[Event], object], limits: Limits | None = None
    ) -> None:
        self._bundle = bundle
        self._tell = tell
        self._limits = _numbers(limits or Limits())
        self._said: set[str] = set()
        self._engines: dict[type[Backend], str] = {}
        self._kept: tuple[_Verdict, ...] | None = None

    def find(self, candidate: Candidate, backend: type[Backend]) -> str | None:
        """Why `candidate` is not to be tried, and since when; None if it is."""
        for verdict in self._load():
            if verdict.candidate == candidate and self._counts(verdict, backend):
                return str(verdict)
        return None

    def times(self) -> list[float]:
        """When those that count were given, in seconds since 1970."""
        return [one.at for one in self._load() if self._is_of_now(one)]

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
            limits=self._limits,
            times=1 + max((one.times for one in before), default=0),
        )
        self._store((*(one for one in kept if one.candidate != candidate), fresh))

    def _counts(self, verdict: _Verdict, backend: type[Backend]) -> bool:
        return self._is_of_now(verdict) and verdict.engine == self._engine(backend)

    def _is_of_now(self, verdict: _Verdict) -> bool:
        if verdict.is_over or verdict.is_first_death:
            return False
        if verdict.kind not in _BY_LIMITS:
            return True
        pairs = zip(self._limits, verdict.limits, strict=False)
        return all(now <= then for now, then in pairs)

    def _engine(self, backend: type[Backend]) -> str:
        if backend not in self._engines:
            plugin = backend.__module__.partition(".")[0]
            self._engines[backend] = fingerprint((backend,), (plugin,))
        return self._engines[backend]

    @property
    def _key(self) -> str:
        return sha256(f"{__version__}\n{self._bundle}".encode()).hexdigest()

    @property
    def _path(self) -> str:
        return os.path.join(cache_directory(), "verdicts", f"{self._key[:32]}.json")

    def _load(self) -> tuple[_Verdict, ...]:
        if self._kept is None:
            self._kept = self._read()
        return self._kept

    def _read(self) -> tuple[_Verdict, ...]:
        try:
            body = find_private(self._path, self._key, self._say)
            if body is None:
                return ()
            record = msgspec.json.decode(body, type=_Record)
        except (StorageError, msgspec.DecodeError):
            return ()
        wanted = (_SCHEMA_VERSION, __version__, self._bundle)
        found = (record.schema_version, record.edgeprep, record.bundle)
        return record.verdicts if found == wanted else ()

    def _store(self, verdicts: tuple[_Verdict, ...]) -> None:
        self._kept = verdicts
        record = _Record(edgeprep=__version__, bundle=self._bundle, verdicts=verdicts)
        # What cannot be written is said of the choice that is stored next, in one place for all.
        with suppress(OSError, StorageError):
            write_private(self._path, self._key, msgspec.json.encode(record), durable=True)

    def _say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            self._tell(Event(kind="cache", message=f"{reason}, its verdicts do not count"))


def _numbers(limits: Limits) -> tuple[float, ...]:
    most = sys.float_info.max  # JSON has no infinity
    numbers = (limits.start_s, limits.load_s, limits.run_s, limits.address_bytes)
    return tuple(float(min(number, most)) for number in numbers)
