"""What pictures and answers were like when a bundle was made."""

from collections.abc import Mapping

from msgspec import Struct

from edgeprep.interfaces import Placement

__all__ = ["Reference", "Spread"]


class Spread(Struct, frozen=True, kw_only=True):
    """How one number spreads over pictures.

    Attributes:
        low: 1 % of them are below, or none, where there are few.
        middle: half of them are below.
        high: 1 % of them are above, or none.
        mean: of all.
        deviation: the standard deviation.
    """

    low: float
    middle: float
    high: float
    mean: float
    deviation: float


class Reference(Struct, frozen=True, kw_only=True):
    """What the graph's pictures and the network's answers were like when a bundle was made.

    Attributes:
        placement: that of the variants which take such pictures.
        pictures: how many were looked at.
        features: how each of their features spreads; see `edgeprep.monitor.statistics`.
        classes: how often the source network found each class in held-out pictures; () where the
            task has no classes.
    """

    placement: Placement
    pictures: int
    features: Mapping[str, Spread]
    classes: tuple[int, ...] = ()
