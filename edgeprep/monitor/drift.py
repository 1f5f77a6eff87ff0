"""Whether the pictures that come, and the answers, are still as they were at calibration."""

from collections.abc import Mapping, Sequence
from typing import Literal
from zlib import crc32

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.bundle import Reference, Spread
from edgeprep.monitor.histogram_test import differ
from edgeprep.monitor.scenes import Scenes
from edgeprep.monitor.statistics import FEATURES, look
from edgeprep.tensors import Color

__all__ = ["ANSWERS", "Change", "Drift", "DriftReport", "Fault", "join_reports", "watched"]

# "black": no light, as behind a lens cap; "dark": less light than ever at calibration;
# "overexposed": more pixels at the upper end; "flat": less contrast, as in fog; "unsharp": out of
# focus; "noisy": pixels differ more than in any picture; "swapped": as if red and blue changed
# places; "frozen": the same picture again and again, to the last bit; "classes": the network finds
# other classes, or the same in other shares.
Fault = Literal[
    "black", "dark", "overexposed", "flat", "unsharp", "noisy", "swapped", "frozen", "classes"
]

# A picture with a fault raises its score by 1, and one without lowers it by 1, to 0 at least: told
# when it reaches the limit, over when it is 0 again. At a look a second, in the mean, what one
# picture in five has by chance is told after two days, and what every other one has in a minute.
_LIMIT = 8
# Bounds lie outside of all but 2 % of the pictures at calibration, by so much of the distance to
# the middle: what is measured on few pictures is never all of it.
_MARGIN = 0.25
# The share of dark pixels in what is black, but for those that are broken.
_ALL = 0.95
# Below are shares of bright pixels that lamps and windows have.
_LEAST_BRIGHT = 0.1
# How many deviations of all pictures their mean cast must be from 0, that a swap can be told. A
# score counts by the likelihood of both, which is more or less than 1 a picture.
_LEAST_CAST = 0.25
_CAST_LIMIT = 14.0
# In deviations: a cast that is nearer to the last one is of the same scene, and says nothing new.
_SAME_SCENE = 0.25
# Answers that are counted before they are compared: of as many scenes, since those of one scene are
# one answer again and again, and no chance.
ANSWERS = 256


class Change(Struct, frozen=True):
    """A fault that has begun, or is over.

    Attributes:
        fault: which.
        there: whether it has begun.
        seen: what was seen, for people; "" where there is no more to say.
    """

    fault: Fault
    there: bool
    seen: str


class DriftReport(Struct, frozen=True, kw_only=True):
    """What is known of drift, at one moment.

    Attributes:
        reason: why nothing can be known; "" where something can.
        looked_at: how many pictures were looked at.
        faults: what is not as it was at calibration.
        watched: all that can be told, with this reference.
        streams: of each stream with a name that has faults, which.
    """

    reason: str = ""
    looked_at: int = 0
    faults: tuple[Fault, ...] = ()
    watched: tuple[Fault, ...] = ()
    streams: Mapping[str, tuple[Fault, ...]] = {}


class Drift:
    """Compares pictures, and classes, with those that a bundle was made with.

    One thread at a time may use it.

    Args:
        reference: what they were like.
        color: what the channels of pictures mean.
    """

    def __init__(self, reference: Reference, color: Color) -> None:
        self._color: Color = color
        self._features = reference.features
        self._expected = np.array(reference.classes, np.int64)
        self._found = np.zeros_like(self._expected)
        self._answers = 0
        self._scenes = Scenes(color, ANSWERS)
        self._cast = np.inf
        self._last: NDArray[np.uint8] | None = None
        self._digest: int | None = None
        self._looked_at = 0
        self._scores: dict[Fault, float] = dict.fromkeys(watched(reference), 0.0)
        self._faults: list[Fault] = []
        self._changes: list[Change] = []

    @property
    def report(self) -> DriftReport:
        """What is known now."""
        return DriftReport(
            looked_at=self._looked_at, faults=tuple(self._faults), watched=tuple(self._scores)
        )

    def look(self, picture: NDArray[np.uint8], classes: Sequence[int] = ()) -> tuple[Change, ...]:
        """Compare one picture, and what the network found in it.

        Args:
            picture: `(H, W, C)`, uint8, as the graph takes it.
            classes: the numbers of the classes in the answer.

        Returns:
            What has changed with it.
        """
        self._looked_at += 1
        self._changes = []
        values = dict(zip(FEATURES, look(picture, self._color).tolist(), strict=True))
        for fault, there in self._seen(values).items():
            self._score(fault, 1.0 if there else -1.0, _LIMIT, values)
        if "swapped" in self._scores and np.isfinite(values["cast"]):
            self._score("swapped", self._swapped(values["cast"]), _CAST_LIMIT, values)
        self._score("frozen", 1.0 if self._is_last(picture) else -1.0, _LIMIT, values)
        if "classes" in self._scores and self._scenes.is_new(picture):
            self._count(classes)
        return tuple(self._changes)

    def _seen(self, values: Mapping[str, float]) -> dict[Fault, bool]:
        """Which faults the picture has, of those that one picture can have."""
        dark = values["brightness"] < self._low("brightness")
        black = values["dark"] >= _ALL
        flat = values["contrast"] < self._low("contrast")
        bright = values["bright"] > max(self._high("bright"), _LEAST_BRIGHT)
        found: dict[Fault, bool] = {
            "black": dark and black,
            "dark": dark and not black,
            "overexposed": bright,
            "flat": flat and not dark and not bright,
            # Of what has no sharpness, as nothing is in it, other faults tell.
            "unsharp": values["sharpness"] < self._low("sharpness"),
            # What is dark is noisy.
            "noisy": not dark and values["noise"] > self._high("noise"),
        }
        return {fault: there for fault, there in found.items() if fault in self._scores}

    def _low(self, feature: str) -> float:
        spread = self._features.get(feature)
        # In shares of the middle, as below 0 there is nothing.
        return 0.0 if spread is None else _below(spread)

    def _high(self, feature: str) -> float:
        spread = self._features.get(feature)
        return np.inf if spread is None else spread.high + _MARGIN * (spread.high - spread.middle)

    def _swapped(self, cast: float) -> float:
        """The logarithm of how much likelier `cast` is if colours are swapped; -1 to 1."""
        spread = self._features["cast"]
        deviation = max(spread.deviation, 1e-3)
        if abs(cast - self._cast) < _SAME_SCENE * deviation:
            return 0.0
        self._cast = cast
        ratio = -2 * spread.mean * cast / deviation**2
        return min(max(ratio, -1.0), 1.0)

    def _is_last(self, picture: NDArray[np.uint8]) -> bool:
        """Whether it is the picture that was looked at before this one."""
        some = picture[:: -(-len(picture) // 64)].copy()
        last, self._last = self._last, some
        if last is None or not np.array_equal(last, some):
            self._digest = None
            return False
        # Some rows are the same: all are asked for from now on, as that is rare and takes long.
        before, self._digest = self._digest, crc32(np.ascontiguousarray(picture).data)
        return before is None or before == self._digest

    def _count(self, classes: Sequence[int]) -> None:
        beyond = max(classes, default=-1) + 1 - len(self._found)
        if beyond > 0:
            self._found = np.pad(self._found, (0, beyond))
            self._expected = np.pad(self._expected, (0, beyond))
        for number in classes:
            self._found[number] += 1
        self._answers += 1
        if self._answers < ANSWERS:
            return
        objects, distance = self._found.sum(), differ(self._found, self._expected)
        now = "as at calibration" if distance is None else f"{distance:.0%} of them others"
        # Where nothing is found, nothing is known.
        if objects and (distance is not None) != ("classes" in self._faults):
            self._set("classes", f"of {objects} objects {now}")
        self._found[:] = 0
        self._answers = 0
        self._scenes.forget()

    def _score(
        self, fault: Fault, change: float, limit: float, values: Mapping[str, float]
    ) -> None:
        # NOTE: not above the limit: what went on for a night is over as soon as after a minute.
        score = self._scores[fault] = min(max(self._scores[fault] + change, 0.0), limit)
        if score == (0 if fault in self._faults else limit):
            self._set(fault, self._describe(fault, values))

    def _set(self, fault: Fault, seen: str) -> None:
        """A fault begins, or is over."""
        there = fault not in self._faults
        (self._faults.append if there else self._faults.remove)(fault)
        self._changes.append(Change(fault, there, seen))

    def _describe(self, fault: Fault, values: Mapping[str, float]) -> str:
        feature = _SHOWN.get(fault)
        if feature is None:
            return ""
        spread = self._features[feature]
        return (
            f"{feature} {values[feature]:.2f}, at calibration {spread.low:.2f} to {spread.high:.2f}"
        )


# By which feature people see a fault.
_SHOWN: dict[Fault, str] = {
    "black": "brightness",
    "dark": "brightness",
    "overexposed": "bright",
    "flat": "contrast",
    "unsharp": "sharpness",
    "noisy": "noise",
    "swapped": "cast",
}


def join_reports(reports: Sequence[DriftReport]) -> DriftReport:
    """What streams, or members of an ensemble, know together: a fault is one that any sees."""
    known = [report for report in reports if not report.reason]
    if not known:
        return reports[0]
    return DriftReport(
        looked_at=sum(report.looked_at for report in known),
        faults=tuple(dict.fromkeys(fault for report in known for fault in report.faults)),
        watched=tuple(dict.fromkeys(fault for report in known for fault in report.watched)),
        streams=_join_streams([report.streams for report in known]),
    )


def _join_streams(
    reports: Sequence[Mapping[str, tuple[Fault, ...]]],
) -> Mapping[str, tuple[Fault, ...]]:
    names = dict.fromkeys(name for streams in reports for name in streams)
    return {
        name: tuple(dict.fromkeys(fault for each in reports for fault in each.get(name, ())))
        for name in names
    }


def watched(reference: Reference) -> tuple[Fault, ...]:
    """The faults that can be told from pictures like those of `reference`."""
    features = reference.features
    faults: list[Fault] = ["frozen"]
    if "brightness" in features and _below(features["brightness"]) > 0:
        faults += ["black", "dark"]
    if "contrast" in features and _below(features["contrast"]) > 0:
        faults.append("flat")
    if "bright" in features and features["bright"].high < 1:
        faults.append("overexposed")
    if "sharpness" in features and _below(features["sharpness"]) > 0:
        faults.append("unsharp")
    if "noise" in features:
        faults.append("noisy")
    cast = features.get("cast")
    if cast is not None and abs(cast.mean) >= _LEAST_CAST * max(cast.deviation, 1e-3):
        faults.append("swapped")
    if sum(reference.classes) > 0:
        faults.append("classes")
    return tuple(faults)


def _below(spread: Spread) -> float:
    """Where a number is below all but the fewest, of those that cannot be below 0."""
    if spread.low <= 0 or spread.middle <= 0:
        return 0.0
    return float(spread.low * (spread.low / spread.middle) ** _MARGIN)
