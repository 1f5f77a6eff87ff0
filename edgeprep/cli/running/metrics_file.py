"""What a run has counted, in a file."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgeprep.errors import OutputRefused
from edgeprep.files import atomic_write, check_no_input, check_output
from edgeprep.runtime import Session

__all__ = ["measured"]


@contextmanager
def measured(
    opening: Callable[[], Session],
    metrics: Path | None,
    *,
    reads: Sequence[str | Path],
    writes: Sequence[Path] = (),
    overwrite: bool,
) -> Iterator[Session]:
    """A session; when the block ends, however it does, what it has counted is written.

    Args:
        opening: opens the session.
        metrics: where to; None: nowhere.
        reads: what else is read, and may not be replaced.
        writes: what else is written, files and folders, likewise.
        overwrite: whether a file that is there may be replaced.

    Raises:
        OutputExists: it is there and `overwrite` is False; nothing is opened.
        OutputRefused: it cannot be a file, or is one that is read, or written otherwise; nothing
            is opened.
        StorageError: it cannot be written. `opening` raises on its own.
    """
    if metrics is not None:
        check_output(metrics, overwrite=overwrite)
        for path in reads:
            check_no_input(metrics, path)
        for path in writes:
            if os.path.realpath(metrics) == os.path.realpath(path):
                rule = "must be another file than what else is written"
                raise OutputRefused(f"{metrics}: {rule}, got it")
    with opening() as session:
        try:
            yield session
        finally:
            if metrics is not None:
                document = json.dumps(session.metrics().to_json(), indent=1)
                atomic_write(metrics, (document.encode(), b"\n"), overwrite=overwrite)
