"""What most members say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.combine.average import weighted_mean
from edgeprep.combine.combiner import Arrays, Combiner, Terms, check_shapes
from edgeprep.interfaces import BlendKind

__all__ = ["Vote"]

# What breaks a tie shows in scores by a millionth: less than any vote, more than float32 rounds.
_TIE = 1e-6

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(Combiner):
    """One vote a member, for its best class; or for each class that it takes to be there.

    Of classes with equally many votes that one wins whose voters weigh more; then the one whose
    mean score, by weight, is higher; then the first one. A class that may be there or not is there
    if most say so, whatever the task's `least_score`; where as many say so as not, those decide
    that weigh more, and then a mean score of 0.5 or more. Scores are shares of the votes, to three
    millionths.
    """

    name: ClassVar[str] = "vote"
    kinds: ClassVar[tuple[BlendKind, ...]] = ("class", "classes", "pixels")

    def join(self, answers: Sequence[Arrays], terms: Terms) -> Arrays:
        """See `Combiner.join`."""
        check_shapes(answers)
        mean = weighted_mean([arrays[0] for arrays in answers], terms.weights)
        if terms.kind == "classes":
            return _of_each([present for _, present in answers], mean, terms.weights)
        return (_of_one([arrays[0] for arrays in answers], mean, terms.weights),)


def _of_one(scores: Sequence[Floats], mean: Floats, weights: NDArray[np.float64]) -> Floats:
    """`(classes, …)`, shares of the votes for one of the classes."""
    votes, weight = np.zeros(mean.shape, mean.dtype), np.zeros(mean.shape, np.float64)
    for each, own in zip(scores, weights.tolist(), strict=True):
        # Who does not look at a pixel has no vote in it.
        voting = ~np.isnan(each[0])
        best = np.where(voting, each.argmax(axis=0), 0)[None]
        for counted, value in ((votes, 1.0), (weight, own)):
            before = np.take_along_axis(counted, best, axis=0)
            added = (voting * value).astype(counted.dtype)
            np.put_along_axis(counted, best, before + added, axis=0)
    left = votes == votes.max(axis=0)
    for tie in (weight, mean):
        # What has lost already must not be the greatest.
        held = np.where(left, tie, -np.inf)
        left &= held == held.max(axis=0)
    winner = np.zeros(mean.shape, mean.dtype)
    np.put_along_axis(winner, left.argmax(axis=0)[None], mean.dtype.type(1), axis=0)
    shares = votes / np.maximum(votes.sum(axis=0), 1)
    return np.asarray((1 - 3 * _TIE) * shares + _TIE * mean + 2 * _TIE * winner, mean.dtype)


def _of_each(
    present: Sequence[NDArray[np.bool_]], mean: Floats, weights: NDArray[np.float64]
) -> Arrays:
    """`(classes,)` each: the share of the votes for each class to be there, and which ones are."""
    votes = np.stack(present)
    shares = votes.mean(axis=0)
    weight = (weights[:, None] * np.where(votes, 1.0, -1.0)).sum(axis=0)
    wins_tie = (weight > 0) | ((weight == 0) & (mean >= 0.5))
    marked = np.where(shares == 0.5, 0.5 + np.where(wins_tie, _TIE, -_TIE), shares)
    return marked, marked > 0.5
