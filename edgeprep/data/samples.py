"""Samples: labelled pictures, checked one by one, with a record of what had to be left out."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.check_truth import check_truth
from edgeprep.errors import DataError
from edgeprep.interfaces import Task
from edgeprep.schema import name_first, show
from edgeprep.truths import IGNORED, Boxes, Mask, Truth

__all__ = ["Named", "Sample", "Samples", "Skipped"]

Sample = tuple[NDArray[np.uint8], Truth | None]

# What "one unreadable among many" may be. More means that the wrong thing is being read.
MAX_SKIPPED = 100
MAX_SKIPPED_SHARE = 0.1
# Truths whose classes are counted: a label that never occurs is named.
_COUNTED = ("class", "boxes", "mask")
_NAMED = 3  # so many missing classes are named in a message; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """One picture that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One sample of a file, which is left out where its picture and its truth do not fit."""

    name: str
    picture: NDArray[np.uint8]
    truth: object


class Samples(Iterable[Sample]):
    """Pictures `(H, W, 3)` RGB or `(H, W, 1)` grey, uint8, of any size, each with its label.

    For networks of clips and those that remember, a sample is a clip: `(frames, H, W, 3 or 1)`.

    A label is what a picture is held against: the number of a class, or a value of
    `edgeprep.truths`.

    Every iteration reads the data anew, in the same order, and checks what comes; no more than one
    picture is held.

    Attributes:
        description: what is read, in words, for reports.
        skipped: the pictures that the last iteration left out.
        place: of the sample that came last, among all that were read; `reread` takes it.
        reread: reads the picture of one place anew; None where data come in their order alone.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[object]],
        *,
        where: str,
        description: str,
        task: Task | None = None,
        limit: int | None = None,
        total: int | None = None,
        unreadable: float | None = None,
        reread: Callable[[int], NDArray[np.uint8]] | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            read: called at each iteration; gives pictures, pairs of a picture and its label,
                `Named` samples, and `Skipped` for what could not be read.
            where: the path in the recipe, such as "data.evaluation": faults begin with it.
            description: what is read, in words.
            task: says what labels are. With it every sample must have one; where that is a class,
                every class must have a sample, unless `limit` ends the reading before.
            limit: at most so many samples.
            total: how many `read` gives, with those that are skipped; None: unknown.
            unreadable: the share that may be skipped; None: 0.1, and 100 at most.
            reread: see the attribute.
        """
        self._read = read
        self._where = where
        self._task = task if task is not None and task.truth else None
        self._limit = limit
        self._total = total
        self._unreadable = unreadable
        self.description = description
        self.skipped: tuple[Skipped, ...] = ()
        self.place = 0
        self._warned = False
        self.reread = reread

    def __iter__(self) -> Iterator[Sample]:
        """The samples, in order.

        Raises:
            DataError: a sample breaks a rule, too many cannot be read, there is none at all, or a
                class has none.
        """
        self.skipped = ()
        count, seen, complete = 0, set[int](), True
        items = enumerate(self._read())
        for place, item in items:
            if isinstance(item, Skipped):
                self._skip(item)
                continue
            try:
                picture, label = self._check(item, count)
            except DataError as fault:
                if not isinstance(item, Named):
                    raise
                self._skip(Skipped(name=item.name, reason=str(fault)))
                continue
            count += 1
            seen |= _classes_in(label)
            self.place = place
            yield picture, label
            if count == self._limit:
                # Nothing is read that nobody asked for.
                complete = place + 1 == self._total if self._total else next(items, None) is None
                break
        if count == 0:
            raise self._fault("must have at least one picture", 0, self._first_skipped())
        share = MAX_SKIPPED_SHARE if self._unreadable is None else self._unreadable
        if len(self.skipped) > share * (count + len(self.skipped)):
            raise self._too_many(f"{len(self.skipped)} of {count + len(self.skipped)}")
        if complete:
            self._check_classes(seen)

    def _skip(self, item: Skipped) -> None:
        self.skipped += (item,)
        message = "%s: %s is left out: %s"
        logging.getLogger("edgeprep").info(message, self._where, item.name, item.reason)
        if self._unreadable is None and len(self.skipped) > MAX_SKIPPED:
            raise self._too_many(len(self.skipped))

    def _too_many(self, count: object) -> DataError:
        rule = f"at most {MAX_SKIPPED_SHARE:.0%} and {MAX_SKIPPED} pictures may be unreadable"
        if self._unreadable is not None:
            rule = f"at most {self._unreadable:.1%} of pictures may be unreadable"
        return DataError(f"{self._where}: {rule}, got {count}{self._first_skipped()}")

    def _first_skipped(self) -> str:
        if not self.skipped:
            return ""
        return f"; the first is {self.skipped[0].name!r}: {self.skipped[0].reason}"

    def _fault(self, rule: str, value: object, remedy: str = "") -> DataError:
        return DataError(f"{self._where}: {rule}, got {show(value)}{remedy}")

    def _check(self, item: object, index: int) -> Sample:
        if isinstance(item, Named):
            picture = self._check_picture(item.picture, f"the picture of {item.name}")
            return picture, self._check_label(item.truth, picture, f"the label of {item.name}")
        if isinstance(item, np.ndarray):
            item = (item, None)
        if not isinstance(item, tuple) or len(item) != 2:
            raise self._fault(f"sample {index} must be a picture or (picture, label)", _kind(item))
        picture = self._check_picture(item[0], f"the picture of sample {index}")
        return picture, self._check_label(item[1], picture, f"the label of sample {index}")

    def _check_picture(self, picture: object, what: str) -> NDArray[np.uint8]:
        rule = f"{what} must be a uint8 array (height, width, 3 or 1)"
        if isinstance(picture, np.ndarray) and picture.ndim == 4:
            rule = f"{what} must be a uint8 array (frames, height, width, 3 or 1)"
        if not isinstance(picture, np.ndarray):
            raise self._fault(rule, _kind(picture))
        fits = picture.ndim in (3, 4) and picture.shape[-1] in (1, 3) and picture.size > 0
        if picture.dtype != np.uint8 or not fits:
            raise DataError(f"{self._where}: {rule}, got {picture.dtype} {picture.shape}")
        return picture

    def _check_label(self, label: object, picture: NDArray[np.uint8], what: str) -> Truth | None:
        what = f"{self._where}: {what}"
        if self._task is not None:
            # Of a clip, what is asked for is the answer to its last frame.
            seen = picture[-1] if picture.ndim == 4 else picture
            return check_truth(label, self._task, seen, what)
        # Nobody looks at it here, but what is plainly no label would be one nowhere.
        if isinstance(label, (bool, float, str)):
            raise DataError(f"{what} must be a whole number, got {show(label)}")
        return int(label) if isinstance(label, np.integer) else label  # type: ignore[return-value]

    def _check_classes(self, seen: set[int]) -> None:
        labels = getattr(self._task, "labels", None)
        if self._task is None or self._task.truth not in _COUNTED or labels is None:
            return
        missing = [name for index, name in enumerate(labels) if index not in seen]
        if not missing:
            return
        if self._task.truth != "class":
            self._check_seen(seen, labels, missing)
            return
        rule = f"must have pictures of all {len(labels)} classes"
        raise self._fault(rule, len(seen), f"; there is none of {name_first(_NAMED, missing)}")

    def _check_seen(self, seen: set[int], labels: Sequence[str], missing: Sequence[str]) -> None:
        """Of boxes and masks, which may do without a class: refuse what nobody can have meant."""
        if IGNORED in seen and len(seen) == 2 and self._task is not None:
            only = next(labels[number] for number in seen if number != IGNORED)
            remedy = f"is 255 a label? classes = {{ 255 = {missing[0]!r}, … }}"
            rule = "masks must have pixels of more labels than one, beside 255, which is none"
            raise self._fault(rule, only, f" alone; {remedy}")
        if not self._warned:
            self._warned = True
            named = name_first(_NAMED, missing)
            logging.getLogger("edgeprep").warning("%s: there is none of %s", self._where, named)


def _classes_in(label: Truth | None) -> set[int]:
    """The classes of one sample, and 255 where its mask has it."""
    if isinstance(label, int):
        return {label}
    if isinstance(label, Boxes):
        return {*label.classes.tolist()}
    if isinstance(label, Mask):
        return {*np.flatnonzero(np.bincount(label.classes.ravel())).tolist()}
    return set()


def _kind(value: object) -> object:
    """What a message shows of `value`: small ones as they are, others by their type."""
    return value if isinstance(value, (str, int, float, type(None))) else type(value)
