"""Which combinations `edgeprep search` tries."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from edgeprep.interfaces import Calibrator, Placement, Precision

__all__ = ["SearchTable"]

Share = Annotated[float, Meta(ge=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTable:
    """`[search]`: the space of a search; every combination is one point.

    Attributes:
        prune: shares of channels to prune, 0 for none; absent: as the recipe says. The other keys
            are those of the recipe's own pass "prune", where it has one, in the place of which
            these come.
        precision: in each format of the recipe that offers it; of several targets of one format,
            as that says which names it, or the first.
        calibrator: how ranges of activations are chosen, where they are.
        placement: where the preprocessing is cut; absent: as the recipe says.
        minutes: after so many no further point is begun.
    """

    prune: Annotated[tuple[Share, ...], Meta(min_length=1)] | None = None
    precision: Annotated[tuple[Precision, ...], Meta(min_length=1)] = ("fp32", "int8")
    calibrator: Annotated[tuple[Calibrator, ...], Meta(min_length=1)] = (
        "min-max",
        "percentile",
        "mse",
    )
    placement: tuple[Placement, ...] = ()
    minutes: Annotated[float, Meta(gt=0)] = 60.0
