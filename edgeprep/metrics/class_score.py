"""How one class fares."""

from msgspec import Struct

__all__ = ["ClassScore"]


class ClassScore(Struct, frozen=True, kw_only=True):
    """How one class fares, in 0..1; None where there is no such number.

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
