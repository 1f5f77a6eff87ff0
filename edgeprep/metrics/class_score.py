"""How one class fares: a row of a table, whose columns are those of its kind of task."""

from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, fields
from numpy.typing import NDArray

__all__ = [
    "BoxScore",
    "ClassRow",
    "ClassScore",
    "ClassTable",
    "PixelScore",
    "PresenceScore",
    "known",
]


class ClassRow(Struct, frozen=True, kw_only=True):
    """How one class fares. The fields are the columns, None where there is no such number."""

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(field.name for field in fields(cls))

    def values(self) -> dict[str, float | int | None]:
        """What is in each column."""
        return asdict(self)


class ClassScore(ClassRow, frozen=True, kw_only=True):
    """How one class fares where a sample is of one, in 0..1.

    Attributes:
        precision: of the samples that were taken for this class, how many are; None where none was.
        recall: of the samples of this class, how many were taken for it; None where there is none.
        f1: the harmonic mean of both, None where there is neither.
        samples: how many are of this class.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    samples: int


class PresenceScore(ClassRow, frozen=True, kw_only=True):
    """How one class fares where a sample may be of several, in 0..1.

    Attributes:
        average_precision: the mean of the precision over the recall; None where no sample is of it.
        precision: as in `ClassScore`.
        recall: as in `ClassScore`.
        f1: as in `ClassScore`.
        samples: how many are of this class.
    """

    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    samples: int


class BoxScore(ClassRow, frozen=True, kw_only=True):
    """How one class fares where there are boxes around objects, in 0..1.

    Attributes:
        ap: the average precision, the mean over overlaps (IoU) of 0.5 to 0.95; None where there
            are no objects of the class.
        ap50: that at an overlap of 0.5.
        ap75: that at an overlap of 0.75.
        objects: how many there are, crowds left out.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    objects: int


class PixelScore(ClassRow, frozen=True, kw_only=True):
    """How one class fares where every pixel is of one, in 0..1.

    Attributes:
        iou: of the pixels that are of the class or were taken for it, how many are both; None where
            there is neither.
        dice: twice those that are both over the sum of the two numbers; None likewise.
        pixels: how many are of this class.
    """

    iou: float | None
    dice: float | None
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTable:
    """How all classes fare.

    Attributes:
        rows: one a class, in the order of the labels; all of one kind.
        confusion: `(classes, classes)`, how many of each true class, a row, were taken for each;
            None where nothing is taken for one alone.
    """

    rows: tuple[ClassRow, ...]
    confusion: NDArray[np.int64] | None = None


def known(value: float) -> float | None:
    """`value`, or None where it is NaN, as a share of nothing is."""
    return None if np.isnan(value) else float(value)
