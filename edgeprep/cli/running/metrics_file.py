"""What a run has counted, in a file."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgeprep.files import atomic_write, check_no_input, check_output
from edgeprep.runtime import Session

__all__ = ["measured"]


@contextmanager
def measured(
    opening: Callable[[], Session],
    metrics: Path | None,
    *,
    reads: Sequence[str],
    overwrite: bool,
) -> Iterator[Session]:
    """A session; when the block ends, however it does, what it has counted is written.

    Args:
        opening: opens the session.
        metrics: where to; None: nowhere.
        reads: what else is read, and may not be replaced.
        overwrite: whether a file that is there may be replaced.

    Raises:
        OutputExists: it is there and `overwrite` is False; nothing is opened.
        OutputRefused: it cannot be a file, or is one that is read; nothing is opened.
        StorageError: it cannot be written. `opening` raises on its own.
    """
    if metrics is not None:
        check_output(metrics, overwrite=overwrite)
        for path in reads:
            check_no_input(metrics, path)
    with opening() as session:
        try:
            yield session
        finally:
            if metrics is not None:
                document = json.dumps(session.metrics().to_json(), indent=1)
                atomic_write(metrics, (document.encode(), b"\n"), overwrite=overwrite)
