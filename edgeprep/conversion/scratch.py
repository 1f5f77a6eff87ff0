"""A directory for what exporters write on their way."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeprep.conversion.torch_cache import torch_cache_in
from edgeprep.data.on_disk import rows_on_disk, temporary_files

__all__ = ["rows_on_disk", "scratch_directory"]


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory that is gone afterwards, with all that is in it; torch's cache is in it, too.

    Raises:
        StorageError: no directory can be made.
    """
    with temporary_files():
        directory = tempfile.TemporaryDirectory(prefix="edgeprep-")
    with directory as name, torch_cache_in(Path(name)):
        yield Path(name)
