"""How the results of several networks become one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

__all__ = ["BlendKind", "Blending"]

BlendKind = Literal["class", "classes", "pixels", "values", "boxes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blending:
    """How the results of a task are taken apart into arrays, and made of them.

    Attributes:
        kind: what the arrays are, which says who can join them. "class": `(classes,)`, float64,
            how likely each of several classes is, of which one holds. "classes": the same for
            classes that hold or do not, each for itself, and `(classes,)`, bool, which ones are
            taken to hold. "pixels": `(classes, H, W)`, as "class" for every pixel. "values": one
            array of any shape, of numbers of which a mean says something. Both of these have NaN
            where the network does not look. "boxes": `(objects, 4)`, least x, least y, greatest
            x, greatest y in pixels, `(objects,)`, scores, and `(objects,)`, int64, numbers of
            classes.
        same: what all must have in common, by the key of the `[task]` table that says it.
        take: the arrays of a result.
        give: the result of such arrays, of which all but the first may be missing for "classes".
    """

    kind: BlendKind
    same: Mapping[str, object]
    take: Callable[[Any], tuple[NDArray[Any], ...]]
    give: Callable[[tuple[NDArray[Any], ...]], Any]
