"""The newest picture of a source that does not wait for whoever looks at it."""

from edgeprep.films.arrived import Arrived
from edgeprep.films.reading import Reading

__all__ = ["Newest"]


class Newest(Reading):
    """See `Reading`: of the pictures that nobody has taken yet, the newest is kept."""

    def _keep(self, arrived: Arrived) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()
        self._waiting.append(arrived)
