"""What a choice is for: the quickest answer, the most answers a second, or the least memory."""

from typing import Literal, get_args

from edgeprep.errors import InputError

__all__ = ["GOALS", "Goal", "check_goal"]

Goal = Literal["latency", "throughput", "memory"]
GOALS: tuple[Goal, ...] = get_args(Goal)


def check_goal(goal: object) -> Goal:
    """`goal`, if it is one.

    Raises:
        InputError: it is none.
    """
    for known in GOALS:
        if isinstance(goal, str) and goal == known:
            return known
    raise InputError(f"goal: must be one of {[*GOALS]!r}, got {goal!r}")
