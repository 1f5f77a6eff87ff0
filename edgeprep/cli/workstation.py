"""Commands that need more than a device has."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgeprep.errors import BackendUnavailable

__all__ = ["workstation_only"]


@contextmanager
def workstation_only(command: str) -> Iterator[None]:
    """Inside, `command` imports its heavy half.

    Raises:
        BackendUnavailable: a library of the extra `convert` is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as fault:
        if fault.name is None or fault.name.partition(".")[0] == "edgeprep":
            raise
        raise BackendUnavailable(
            f"{command} needs {fault.name}, which is not installed; pip install edgeprep[convert]"
        ) from fault
