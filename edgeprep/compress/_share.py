"""How many channels each layer keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm

import torch

from edgeprep.compress._groups import Group
from edgeprep.compress.prune import Scope
from edgeprep.errors import RecipeError

__all__ = ["Kept", "Words", "can_shrink", "share_between", "share_out"]

# By path of a group, how many of its units stay.
Kept = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How refusals call what was asked for, and how they go on.

    Attributes:
        key: the recipe's, where a layer would keep no channel.
        value: what came for it; None: the ratio.
        emptied: what helps then.
        rounded: what follows where no channel goes after rounding.
        fixed: what follows where no channel can go; None: what would let some go.
    """

    key: str = "prune.ratio"
    value: float | None = None
    emptied: str = "set a limit for it"
    rounded: str = "; raise ratio, or lower round_to"
    fixed: str | None = None


def share_out(
    groups: Sequence[Group],
    ratio: float,
    *,
    scope: Scope,
    round_to: int,
    limits: Mapping[str, float],
    ranks: Mapping[str, torch.Tensor],
    strict: bool,
    words: Words | None = None,
) -> Kept:
    """What each of `groups` keeps where about `ratio` of all channels go.

    Args:
        groups: those that may lose channels.
        ratio: in 0..1.
        scope: see `Prune.scope`.
        round_to: see `Prune.round_to`; the nearest multiple is taken.
        limits: the largest share that a group may lose, by path; it holds whatever is rounded.
        ranks: how much each unit matters, by path of the group.
        strict: whether a layer that would lose all is an error; it keeps the least count otherwise.
        words: of that error; None: those of `Prune`.

    Raises:
        RecipeError: a layer would keep less than one channel.
    """
    words = words or Words()
    shares = (
        {group.path: ratio for group in groups}
        if scope == "uniform"
        else _weakest(groups, ratio, ranks)
    )
    kept = {}
    for group in groups:
        limit = limits.get(group.path, 1.0)
        share = min(shares[group.path], limit)
        if strict and group.channels * (1 - share) < 1:
            raise RecipeError(
                f"{words.key}: must leave every layer a channel, got "
                f"{ratio if words.value is None else words.value!r}, which leaves none "
                f"of {group.channels} in {group.path!r}; {words.emptied}"
            )
        kept[group.path] = _nearest(group, group.units * (1 - share), round_to, limit)
    return kept


def share_between(groups: Sequence[Group], kept: Kept, part: float, round_to: int) -> Kept:
    """What each group keeps when a `part`, in 0..1, of the way to `kept` is gone."""
    return {
        group.path: _nearest(
            group, group.units + (kept[group.path] - group.units) * part, round_to, 1.0
        )
        for group in groups
    }


def can_shrink(group: Group, round_to: int) -> bool:
    """Whether there is a lower count of channels that is a multiple of `round_to`."""
    return len(_counts(group, round_to)) > 1


def _counts(group: Group, round_to: int) -> list[int]:
    """How many units may stay: all, or as many as make a multiple of `round_to` channels."""
    least = lcm(round_to, group.size) // group.size
    return [*range(least, group.units, least), group.units]


def _nearest(group: Group, wanted: float, round_to: int, limit: float) -> int:
    least = group.units * (1 - limit) - 1e-9
    counts = [count for count in _counts(group, round_to) if count >= least]
    # Of two that are as near, the larger one.
    return min(counts, key=lambda count: (abs(count - wanted), -count))


def _weakest(
    groups: Sequence[Group], ratio: float, ranks: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """The share of each group among the least important channels of all."""
    units = sorted(
        (float(rank), group.path, group.size) for group in groups for rank in ranks[group.path]
    )
    remaining = ratio * sum(group.channels for group in groups)
    gone = dict.fromkeys((group.path for group in groups), 0)
    for _, path, size in units:
        if remaining < size:
            break
        remaining -= size
        gone[path] += size
    return {group.path: gone[group.path] / group.channels for group in groups}
