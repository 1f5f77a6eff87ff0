"""Sessions, as those see them who hand on what they count."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from edgeprep.monitor.metrics import Metrics

__all__ = ["Tells", "each_metrics"]


class Tells(Protocol):
    """What counts: a session."""

    def metrics(self) -> Metrics:
        """See `Session.metrics`."""


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
