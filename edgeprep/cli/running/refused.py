"""The pictures of a film or live source that have no finite result."""

from edgeprep.cli.output import complain
from edgeprep.errors import OutputError

__all__ = ["Refused"]


class Refused:
    """Counts them, and names the first one at once.

    Args:
        name: of the film or source, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def add(self, error: OutputError) -> None:
        """A picture has none."""
        if not self._count:
            complain(f"{self._name}: {error}")
        self._count += 1

    def check(self) -> None:
        """At the end: say how many there were.

        Raises:
            OutputError: there was one.
        """
        if self._count:
            rule = "all frames must have a finite result"
            raise OutputError(f"{self._name}: {rule}, got {self._count} that have none")
