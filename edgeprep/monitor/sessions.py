"""Sessions, as those see them who hand on what they count."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from edgeprep.errors import InputError
from edgeprep.monitor.metrics import Metrics

__all__ = ["Tells", "check_sessions", "each_metrics", "join_sessions"]


class Tells(Protocol):
    """What counts: a session."""

    def metrics(self) -> Metrics:
        """See `Session.metrics`."""


def check_sessions(where: str, sessions: Sequence[object]) -> None:
    """Refuse what counts nothing, before anybody asks for it.

    Raises:
        InputError: one is no session.
    """
    for index, session in enumerate(sessions):
        if not callable(getattr(session, "metrics", None)):
            raise InputError(f"{where}: sessions[{index}] must be a session, got {session!r}")


def join_sessions(known: Sequence[Tells], more: Sequence[Tells]) -> tuple[Tells, ...]:
    """`known`, and behind them those of `more` that are not there: so all keep their names."""
    together = [*known]
    for session in more:
        if all(session is not other for other in together):
            together.append(session)
    return tuple(together)


def each_metrics(sessions: Sequence[Tells]) -> Iterator[tuple[str, Metrics]]:
    """The metrics of each session and each member of an ensemble, with a name of its own.

    A member is called as its ensemble, "/", and itself; the second session of a name "name#1".
    """
    found = [session.metrics() for session in sessions]
    names = [metrics.session for metrics in found]
    for index, metrics in enumerate(found):
        earlier = names[:index].count(metrics.session)
        name = f"{metrics.session}#{earlier}" if earlier else metrics.session
        yield name, metrics
        for member, one in metrics.members.items():
            yield f"{name}/{member}", one
