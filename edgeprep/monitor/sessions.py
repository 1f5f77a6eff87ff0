"""Sessions, as those see them who hand on what they count."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, count
from typing import Protocol

from edgeprep.errors import InputError
from edgeprep.monitor.metrics import Metrics

__all__ = ["Sessions", "Tells", "check_sessions"]


class Tells(Protocol):
    """What counts: a session."""

    def metrics(self) -> Metrics:
        """See `Session.metrics`."""


def check_sessions(where: str, sessions: Sequence[object]) -> None:
    """Refuse what counts nothing, before anybody asks for it.

    Raises:
        InputError: one is no session, or there is none.
    """
    if not sessions:
        raise InputError(f"{where}: must be given sessions, got none")
    for index, session in enumerate(sessions):
        if not callable(getattr(session, "metrics", None)):
            raise InputError(f"{where}: sessions[{index}] must be a session, got {session!r}")


class Sessions:
    """Those that are handed on, each with a name of its own as long as it is open.

    The second of a name is "name#1". One that is closed stays until others come: what it has
    counted last is handed on, and then its name is free, as after a start of the program.
    """

    def __init__(self) -> None:
        self._named: dict[str, Tells] = {}

    def join(self, sessions: Sequence[Tells]) -> set[str]:
        """Let go of those that are closed, and have `sessions`, too, each once.

        Returns:
            The names of those that were not there before.
        """
        named = {
            name: one for name, one in self._named.items() if not getattr(one, "closed", False)
        }
        known = {*named}
        for session in sessions:
            if all(session is not other for other in named.values()):
                named[_free(session.metrics().session, named)] = session
        # At once: who reads meanwhile has all of before, or all of now.
        self._named = named
        return {*named} - known

    def metrics(self) -> Iterator[tuple[str, Metrics]]:
        """The metrics of each, and of each member of an ensemble, which is "ensemble/member"."""
        for name, session in self._named.items():
            found = session.metrics()
            yield name, found
            for member, one in found.members.items():
                yield f"{name}/{member}", one


def _free(name: str, taken: Collection[str]) -> str:
    names = chain([name], (f"{name}#{number}" for number in count(1)))
    return next(one for one in names if one not in taken)
