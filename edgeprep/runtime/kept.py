"""The file of a bundle, kept so that it can be read again, long after it was opened."""

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from edgeprep.bundle import Bundle, EnsembleBundle, one_network
from edgeprep.bundle.container import read_either
from edgeprep.errors import DigestError, StorageError
from edgeprep.files import open_regular

__all__ = ["KeptFile"]


class KeptFile:
    """A bundle that need not stay in memory.

    The file is held open: that another takes its name, as at an update, or that it is removed,
    changes nothing. One that is written into is found by its digests.

    Args:
        bundle: what was read.
        pick: gives of the file's content the network that is needed again.
    """

    def __init__(
        self,
        bundle: Bundle | EnsembleBundle,
        pick: Callable[[Bundle | EnsembleBundle], Bundle] = one_network,
    ) -> None:
        self._pick = pick
        self._path = bundle.path
        self._digest = bundle.digest
        self._lock = Lock()
        self._descriptor: int | None = None
        # Where it is gone already, nothing is read again.
        with suppress(StorageError), open_regular(bundle.path) as stream:
            self._descriptor = os.dup(stream.fileno())

    def read(self, variant: str | None = None) -> Bundle:
        """The network that was opened, verified anew.

        Args:
            variant: whose model and golden samples are needed; None: all.

        Raises:
            StorageError: it was closed, or could not be kept.
            BundleError: it has changed since.
        """
        with self._lock:
            if self._descriptor is None:
                raise StorageError(f"{self._path}: must be open to be read again, got none")
            with open(os.dup(self._descriptor), "rb") as stream:
                bundle = read_either(stream, self._path, variant)
        if bundle.digest != self._digest:
            rule = f"must be the bundle that was opened, {self._digest[:16]}…"
            raise DigestError(f"{self._path}: {rule}, got {bundle.digest[:16]}…")
        return self._pick(bundle)

    def close(self) -> None:
        """Let go of the file. Calling it again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()
