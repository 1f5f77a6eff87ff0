"""What is tried for a variant that loses too much: few trials, few layers in float.

Only the order of trials is here. What a trial does is for the caller to say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeprep.interfaces import Calibrator
from edgeprep.recipe import Repair

__all__ = ["Trial", "Tried", "fewest", "repair"]

_CALIBRATORS: tuple[Calibrator, ...] = ("min-max", "percentile", "mse", "entropy")
# A network with more than so many of its layers in float is no int8 network any more.
_LARGEST_SHARE = 0.5
# After the shortest run of the order is found, so many of its layers are tried in int8 again, the
# mildest and the head: the order comes from layers that were quantized one at a time, and may have
# put an innocent one anywhere.
_MOST_RELEASED = 4
_NAMED = 2  # so many layers are named; more are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One way to quantize a network.

    Attributes:
        keep: module paths that stay in float, in the order in which they were chosen.
        calibrator: how ranges of activations are chosen.
        fine_tuned: whether the network was fine-tuned under simulated int8 before.
    """

    keep: tuple[str, ...] = ()
    calibrator: Calibrator = "min-max"
    fine_tuned: bool = False

    def __str__(self) -> str:
        named = " and ".join(map(repr, self.keep)) or "no layer"
        layers = named if len(self.keep) <= _NAMED else f"{len(self.keep)} layers"
        tuned = ", fine-tuned" if self.fine_tuned else ""
        return f"{layers} in float, calibrator {self.calibrator!r}{tuned}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a trial.

    Attributes:
        trial: what was tried.
        value: its score; None where it could not be scored.
        drop: how far that is below the source's; infinite where it could not be scored.
        fault: why it could not be scored.
        is_refused: whether that is the word of an exporter or an engine, and not of a gate.
        samples: how many it was scored on; fewer than there are where that was hopeless.
        size_bytes: of its files.
        latency_ms: of one picture, on the engine's most exact options.
    """

    trial: Trial
    value: float | None = None
    drop: float = float("inf")
    fault: str = ""
    samples: int = 0
    size_bytes: int = 0
    latency_ms: float = 0.0
    is_refused: bool = False

    def describe(self) -> str:
        """What came, for people."""
        if self.fault:
            return self.fault
        return f"{self.value:.4f}, drop {self.drop:z.4f}, {self.size_bytes:,} bytes"

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep convert --format json` prints it."""
        return {
            "keep_float": list(self.trial.keep),
            "calibrator": self.trial.calibrator,
            "fine_tuned": self.trial.fine_tuned,
            "value": self.value,
            "drop": self.drop,
            "fault": self.fault,
            "samples": self.samples,
            "size_bytes": self.size_bytes,
            "latency_ms": self.latency_ms,
        }


def repair(
    run: Callable[[Trial], Tried],
    *,
    first: Tried,
    allowed: Sequence[Repair],
    max_drop: float,
    order: Callable[[], Sequence[str]],
    guess: Callable[[], int] = lambda: 1,
) -> Tried | None:
    """The first trial found that loses no more than `max_drop`; None where there is none.

    Args:
        run: does one trial; it is called once for each.
        first: what was tried before, and lost too much.
        allowed: what may be done, in this order.
        max_drop: the largest loss.
        order: gives the layers that may stay in float, those that cost most first.
        guess: how many of them are likely to be enough.
    """
    known = {first.trial: first}

    def once(trial: Trial) -> Tried:
        if trial not in known:
            known[trial] = run(trial)
        return known[trial]

    search = _Search(run=once, max_drop=max_drop, order=order, guess=guess, allowed=allowed)
    start = first.trial
    for step in allowed:
        if step == "calibrate":
            start = search.calibrated(start)
        elif step == "fine-tune":
            start = replace(start, fine_tuned=True)
        found = search.from_(start, may_start=step != "keep-float")
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    run: Callable[[Trial], Tried]
    max_drop: float
    order: Callable[[], Sequence[str]]
    guess: Callable[[], int]
    allowed: Sequence[Repair]

    def from_(self, start: Trial, *, may_start: bool) -> Tried | None:
        """`start` itself where that is new, else with the fewest layers in float."""
        if may_start and (tried := self.run(start)).drop <= self.max_drop:
            return tried
        return self._in_float(start) if "keep-float" in self.allowed else None

    def calibrated(self, start: Trial) -> Trial:
        """`start` with the calibrator that loses least, which may be its own."""
        names = dict.fromkeys((start.calibrator, *_CALIBRATORS))
        tried = [self.run(replace(start, calibrator=name)) for name in names]
        return min(tried, key=lambda one: one.drop).trial

    def _in_float(self, start: Trial) -> Tried | None:
        order, most = _outermost(self.order())
        if not most:
            return None

        def keeping(count: int) -> Tried:
            return self.run(replace(start, keep=tuple(order[:count])))

        count = fewest(lambda count: keeping(count).drop <= self.max_drop, most, self.guess())
        return None if count is None else self._released(keeping(count))

    def _released(self, found: Tried) -> Tried:
        """`found` without those of its layers that can be int8 after all, the mildest first."""
        # The last one is known to be needed: without it there was one too few.
        mildest = found.trial.keep[-2::-1]
        for path in dict.fromkeys((*mildest[:_MOST_RELEASED], *mildest[-1:])):
            keep = tuple(other for other in found.trial.keep if other != path)
            tried = self.run(replace(found.trial, keep=keep))
            if tried.drop <= self.max_drop:
                found = tried
        return found


def _outermost(order: Sequence[str]) -> tuple[Sequence[str], int]:
    """`order` without what one before has inside, and how many of the first may stay in float.

    A module in float has all in float that is inside it: so much counts, and not the module alone.
    """
    most, kept = int(len(order) * _LARGEST_SHARE), set[str]()
    first, allowed = list[str](), 0
    for path in order:
        inside = {other for other in order if f"{other}.".startswith(f"{path}.")}
        # One that has too much inside leaves room for those after it.
        if path in kept or len(inside) > most:
            continue
        first.append(path)
        kept |= inside
        allowed += len(kept) <= most
    return first, allowed


def fewest(enough: Callable[[int], bool], most: int, guess: int = 1) -> int | None:
    """The least count from 1 to `most` that is `enough`; None where `most` is not.

    Args:
        enough: asked once for a count; what is enough for one is taken to be so for all above.
        most: the largest count.
        guess: where the search begins; a good one costs two questions.
    """
    low, high = 0, min(max(guess, 1), most)
    while not enough(high):
        if high == most:
            return None
        low, high = high, min(2 * high, most)
    # Right below a guess that was enough first, then in ever longer steps.
    step = most if low else 1
    while high - low > 1:
        middle = max(high - step, (low + high) // 2)
        if enough(middle):
            high, step = middle, 2 * step
        else:
            low = middle
    return high
