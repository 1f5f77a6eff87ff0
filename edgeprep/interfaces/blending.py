"""How the results of several networks become one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from numpy.typing import NDArray

__all__ = ["BlendKind", "Blending"]

BlendKind = Literal["class", "classes", "pixels", "values", "vectors", "boxes"]
Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blending:
    """How the results of a task are taken apart into arrays, and made of them.

    Attributes:
        kind: what the arrays are, which says who can join them. "class": `(classes,)`, float64,
            how likely each of several classes is, of which one holds. "classes": the same for
            classes that hold or do not, each for itself, and `(classes,)`, bool, which ones are
            taken to hold. "pixels": `(classes, H, W)`, as "class" for every pixel. "values": one
            array of any shape, of numbers of which a mean says something. Both of these have NaN
            where the network does not look. "vectors": `(length,)`, of length 1, on axes that are
            each network's own. "boxes": `(objects, 4)`, least x, least y, greatest
            x, greatest y in pixels, `(objects,)`, scores, and `(objects,)`, int64, numbers of
            classes.
        same: what all must have in common, by the key of the `[task]` table that says it.
        take: the arrays of a result.
        give: the result of such arrays, of which all but the first may be missing for "classes".
        unheard: keys of `[task]` that say what outputs are, and so nothing of joined results.
        align: brings the arrays of several members to those of the first one before they are
            joined, where each has a scale of its own; None: they are on one.
        scored: takes of results what metrics look at, where that is much less; None: all of it.
    """

    kind: BlendKind
    same: Mapping[str, object]
    take: Callable[[Any], Arrays]
    give: Callable[[Arrays], Any]
    unheard: tuple[str, ...] = ()
    align: Callable[[Sequence[Arrays]], Sequence[Arrays]] | None = None
    scored: Self | None = None
