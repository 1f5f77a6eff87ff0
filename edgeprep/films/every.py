"""Every picture of a source, which waits for whoever looks at them."""

from collections.abc import Callable

from edgeprep.films.arrived import Arrived
from edgeprep.films.reading import LiveSource, Reading

__all__ = ["Every"]


class Every(Reading):
    """See `Reading`: the source waits while as many pictures are there as may be.

    Args:
        connect: as for `Reading`.
        name: likewise.
        timeout_s: likewise.
        most: how many pictures may wait to be taken.
    """

    def __init__(
        self,
        connect: Callable[[], LiveSource],
        *,
        name: str,
        timeout_s: float | None,
        most: int,
    ) -> None:
        self._most = most
        super().__init__(connect, name=name, timeout_s=timeout_s)

    def _keep(self, arrived: Arrived) -> None:
        self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._most)
        if not self._closed:
            self._waiting.append(arrived)
