"""What each pass came to, and what the budget is measured from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeprep.conversion.ground import Ground

__all__ = ["Reached", "fell_after", "measured_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What the network scores after one pass.

    Attributes:
        after: the pass, for messages.
        teaches: whether the pass teaches a network that may know nothing.
        score: of the network, by the scorer of its ground.
        sampled: see `Ground.sampled`.
        chance: that one answer for all scores as much, in words; "" where the score is better.
        undecided: see `Ground.undecided`.
    """

    after: str
    teaches: bool
    score: float
    sampled: tuple[tuple[int, ...], float]
    chance: str
    undecided: tuple[int, ...] = ()


def measured_from(ground: Ground, reached: Sequence[Reached]) -> Ground:
    """`ground` with the score that drops are measured from.

    It is that of the network as it came, or the best that a pass has taught it, if that is better:
    a student may know little or nothing before, whether or not there is a chance to compare with.
    """
    best = ground
    for one in reached:
        if one.teaches and ground.scorer.drop(best.score, one.score) < 0:
            best = replace(ground, score=one.score, sampled=one.sampled)
    return replace(best, undecided=reached[-1].undecided) if reached else best


def fell_after(ground: Ground, reached: Sequence[Reached]) -> Reached | None:
    """The pass since which the network is no better than chance, or which taught it nothing.

    None where it is better, or where it was not before and no pass teaches.
    """
    if not reached or not reached[-1].chance:
        return None
    states = [ground.scorer.beside_chance(ground.score), *(one.chance for one in reached)]
    better = [index for index, chance in enumerate(states) if not chance]
    if better:
        return reached[better[-1]]
    return next((one for one in reached if one.teaches), None)
