"""How often what answers must reproduce golden samples again, while it is in use."""

from math import inf

from msgspec import Struct

from edgeprep.errors import InputError

__all__ = ["Recheck", "check_recheck"]


class Recheck(Struct, frozen=True, kw_only=True):
    """When the candidate that answers is held to golden samples again.

    It is done beside calls, in a thread of its own: none waits for it.

    Attributes:
        runs: after this many calls.
        minutes: after this many minutes, if there are calls; whichever comes first.
        samples: how many golden samples are taken each time; the next ones, in turns.

    Raises:
        InputError: one is no such number.
    """

    runs: int = 10_000
    minutes: float = 10.0
    samples: int = 1

    def __post_init__(self) -> None:
        """Refuse what would be never, or always."""
        for name in ("runs", "samples"):
            count = getattr(self, name)
            # NOTE: `bool` is an `int`.
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise InputError(f"recheck.{name}: must be a whole number from 1, got {count!r}")
        minutes, is_bool = self.minutes, isinstance(self.minutes, bool)
        if is_bool or not isinstance(minutes, (int, float)) or not 0 < minutes < inf:
            raise InputError(f"recheck.minutes: must be above 0 and finite, got {minutes!r}")


def check_recheck(recheck: object) -> Recheck | None:
    """`recheck` itself, if it can be used; None: never.

    Raises:
        InputError: it is no `Recheck`.
    """
    if recheck is not None and not isinstance(recheck, Recheck):
        raise InputError(f"recheck: must be a Recheck, or None for never, got {recheck!r}")
    return recheck
