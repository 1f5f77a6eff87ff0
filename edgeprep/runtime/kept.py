"""The file of a bundle, kept so that it can be read again, long after it was opened."""

import os
from contextlib import suppress
from threading import Lock

from edgeprep.bundle import Bundle, EnsembleBundle
from edgeprep.bundle.container import read_variant
from edgeprep.errors import BundleError, DigestError, StorageError
from edgeprep.files import open_regular

__all__ = ["KeptFile"]


class KeptFile:
    """A bundle of one network that need not stay in memory.

    The file is held open: that another takes its name, as at an update, or that it is removed,
    changes nothing. One that is written into is found by its digests.

    Args:
        bundle: what was read.
        part: of an ensemble, the member that is the network's bundle, and its digest.
    """

    def __init__(
        self, bundle: Bundle | EnsembleBundle, part: tuple[str, str] | None = None
    ) -> None:
        self._path = bundle.path
        self._digest = bundle.digest
        self._part = part
        self._lock = Lock()
        self._descriptor: int | None = None
        # Where it is gone already, nothing is read again.
        with suppress(StorageError), open_regular(bundle.path) as stream:
            self._descriptor = os.dup(stream.fileno())

    def read(self, variant: str) -> Bundle:
        """The network with one variant, of which it has the model and the golden samples.

        Raises:
            StorageError: it was closed, could not be kept, or cannot be read any more.
            DigestError: it was written into.
        """
        # NOTE: `close` does not wait for this: it may be in between.
        with self._lock:  # as what is duplicated has one position in the file for all
            descriptor = self._descriptor
            if descriptor is None:
                raise StorageError(f"{self._path}: must be open to be read again, got none")
            try:
                with open(os.dup(descriptor), "rb") as stream:
                    return read_variant(
                        stream, self._path, variant, digest=self._digest, part=self._part
                    )
            except BundleError as error:
                raise DigestError(
                    f"{self._path}: must not be written into while a session has it open, "
                    "got other bytes than were opened; to update it, write another file and "
                    "rename that to this"
                ) from error
            except OSError as error:
                rule = "must be a file that can be read"
                raise StorageError(f"{self._path}: {rule}, got {error.strerror!r}") from error

    def close(self) -> None:
        """Let go of the file. Calling it again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()
