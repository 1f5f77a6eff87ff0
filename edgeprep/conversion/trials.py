"""The trials of one variant: made, scored, and kept for a conversion that goes on after a kill."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edgeprep.conversion.repair import Trial, Tried
from edgeprep.conversion.variants import MadeVariant
from edgeprep.data import Progress
from edgeprep.errors import BackendError, ConvertError, ExportError, OutputError
from edgeprep.files import atomic_write

__all__ = ["MENDABLE", "Trials"]

# Faults of a quantized variant that another choice of layers may mend.
MENDABLE = (BackendError, ConvertError, OutputError)
# Where the first trials all fail, as without samples to calibrate on, it is not for the layers.
_MOST_FAULTS = 6


@dataclass(slots=True, kw_only=True)
class Trials:
    """The trials of one variant. One made variant is held, the best: models may be large.

    Attributes:
        name: of the variant.
        make: makes it, quantized in one way.
        max_drop: what it may lose.
        may_repair: whether there will be more than one trial.
        path: a file where trials that were over budget are kept, so that none is scored twice.
        progress: is told of every trial.
    """

    name: str
    make: Callable[[Trial], MadeVariant]
    max_drop: float
    may_repair: bool
    path: Path
    progress: Progress
    tried: list[Tried] = field(default_factory=list, init=False)
    _known: dict[Trial, Tried] = field(default_factory=dict, init=False)
    _held: tuple[Tried, MadeVariant] | None = field(default=None, init=False)
    _fault: Exception | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._known = {tried.trial: tried for tried in _read(self.path)}

    def run(self, trial: Trial) -> Tried:
        """Make the variant, quantized as `trial` says.

        Raises:
            EdgePrepError: the first fault of all, where no trial has had another result.
        """
        known = self._known.get(trial)
        title = self.name if not self.tried else f"{self.name}, {trial}"
        try:
            with self.progress(title) as done:
                if known is not None:
                    tried = known
                    done(f"over budget before, {tried.describe()}")
                else:
                    tried = self._make(trial, done)
        except MENDABLE as error:
            self._fault = self._fault or error
            refused = isinstance(error, BackendError | ExportError)
            tried = Tried(trial=trial, fault=str(error), is_refused=refused)
        self.tried.append(tried)
        if tried.fault:
            self._count(tried)
        return tried

    def best(self) -> MadeVariant:
        """The variant that keeps the budget with the fewest layers in float, or comes nearest."""
        best = min(self.tried, key=self._rank)
        if self._held is not None and self._held[0] == best:
            made = self._held[1]
        elif best.fault:
            raise self._fault or ConvertError(best.fault)
        else:
            # Done in a conversion that was killed, and no model is kept.
            made = self.make(best.trial)
        return replace(made, trials=tuple(self.tried))

    def _make(self, trial: Trial, done: Callable[[str], None]) -> Tried:
        try:
            made = self.make(trial)
        except MENDABLE as error:
            # Not kept: the next conversion is to end with this very error, too.
            done(f"cannot be used: {error}")
            raise
        tried = _what_came(trial, made)
        if self._held is None or self._rank(tried) < self._rank(self._held[0]):
            self._held = tried, made
        over = tried.drop > self.max_drop
        if over:
            self._known[trial] = tried
            _write(self.path, [*self._known.values()])
        done(f"over budget: {made.describe()}" if over else made.describe())
        return tried

    def _rank(self, tried: Tried) -> tuple[bool, float, float]:
        """What is less is better."""
        over = tried.drop > self.max_drop
        return over, tried.drop if over else len(tried.trial.keep), tried.drop

    def _count(self, tried: Tried) -> None:
        """Give up where no trial has an effect; the first fault is the one to tell of."""
        most = _MOST_FAULTS if self.may_repair else 1
        if len(self.tried) >= most and all(one.fault for one in self.tried):
            raise self._fault or ConvertError(self.tried[0].fault)


def _what_came(trial: Trial, made: MadeVariant) -> Tried:
    record, metric = made.record, made.record.metric
    return Tried(
        trial=trial,
        value=metric.value if metric else None,
        drop=metric.drop if metric else 0.0,
        size_bytes=record.size_bytes,
        latency_ms=made.latency_ms,
        samples=metric.samples if metric else 0,
    )


def _read(path: Path) -> list[Tried]:
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=list[Tried])
    return []


def _write(path: Path, tried: list[Tried]) -> None:
    atomic_write(path, [msgspec.json.encode(tried)], overwrite=True)
