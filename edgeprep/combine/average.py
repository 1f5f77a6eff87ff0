"""The weighted mean of what members answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.combine.combiner import Arrays, Combiner, Terms, check_shapes
from edgeprep.interfaces import BlendKind

__all__ = ["Average", "weighted_mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Average(Combiner):
    """Scores, pixels or numbers: the mean, each member by its weight.

    Vectors are put end to end, for the axes of two networks have nothing to do with each other: the
    cosine between two such vectors is the weighted mean of those of the members.
    """

    name: ClassVar[str] = "average"
    kinds: ClassVar[tuple[BlendKind, ...]] = ("class", "classes", "pixels", "values", "vectors")

    def join(self, answers: Sequence[Arrays], terms: Terms) -> Arrays:
        """See `Combiner.join`."""
        if terms.kind == "vectors":
            shares = np.sqrt(terms.weights / terms.weights.sum()).astype(np.float32)
            pairs = zip(answers, shares, strict=True)
            return (np.concatenate([vector * share for (vector,), share in pairs]),)
        check_shapes(answers)
        return (weighted_mean([arrays[0] for arrays in answers], terms.weights),)


def weighted_mean(
    arrays: Sequence[NDArray[Any]], weights: NDArray[np.float64]
) -> NDArray[np.floating[Any]]:
    """The mean of `arrays` of one shape: float64 of such, and float32 of all others.

    Where some are NaN it is that of the others; NaN where all are.

    Args:
        arrays: one a weight.
        weights: `(arrays,)`, above 0.
    """
    shares = (weights / weights.sum()).tolist()
    kind = np.float64 if arrays[0].dtype == np.float64 else np.float32
    mean = np.zeros(arrays[0].shape, kind)
    for array, share in zip(arrays, shares, strict=True):
        mean += np.multiply(array, share, dtype=kind)
    return _of_the_others(arrays, shares, mean) if np.isnan(mean).any() else mean


def _of_the_others(
    arrays: Sequence[NDArray[Any]], shares: Sequence[float], mean: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    total, known = np.zeros_like(mean), np.zeros_like(mean)
    for array, share in zip(arrays, shares, strict=True):
        there = ~np.isnan(array)
        total += np.where(there, array, 0) * mean.dtype.type(share)
        known += there * mean.dtype.type(share)
    return np.divide(total, known, out=np.full_like(mean, np.nan), where=known > 0)
