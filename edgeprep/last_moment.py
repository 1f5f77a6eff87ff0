"""How long the end of a program may take: one deadline for all that it waits for."""

from time import monotonic

__all__ = ["LAST_S", "THE_END", "LastMoment"]

# What is stopped in the midst of an engine may take the process down with it, so it is waited for;
# but who ends a program does not want to wait, whatever hangs.
LAST_S = 2.0


class LastMoment:
    """The deadline; it is set by the first that waits at the end of the program."""

    def __init__(self) -> None:
        self._at: float | None = None

    def begin(self) -> None:
        """The program ends: `LAST_S` from now on, unless somebody has said so before."""
        if self._at is None:
            self._at = monotonic() + LAST_S

    def left_s(self, most_s: float = LAST_S) -> float:
        """How many seconds may be waited for something: `most_s`, or what is left at the end."""
        if self._at is None:
            return most_s
        return min(most_s, max(0.0, self._at - monotonic()))


THE_END = LastMoment()
