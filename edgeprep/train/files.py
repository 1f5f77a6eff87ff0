"""What a training leaves behind, by name."""

from collections.abc import Iterable
from pathlib import Path

from edgeprep.errors import StorageError

__all__ = [
    "CHECKPOINT",
    "CURVE",
    "EPOCH",
    "KEPT",
    "RESULT",
    "ROWS",
    "STATE",
    "TABLE",
    "UNFINISHED",
    "WEIGHTS",
    "remove_files",
]

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "weights.safetensors"
# A checkpoint within an epoch, beside that of the end of the one before; gone when it ends.
EPOCH = "unfinished-epoch.safetensors"
# The same numbers, for programs and for people.
ROWS, TABLE = "metrics.jsonl", "metrics.csv"
CURVE, RESULT = "curve.png", "result.json"

# What a training that begins anew removes of one before; it replaces the rest when it has new ones.
STATE = (CHECKPOINT, EPOCH, RESULT)
KEPT = (*STATE, WEIGHTS, ROWS, TABLE, CURVE)
# What `atomic_write` had not given its name when the process was killed.
UNFINISHED = ".edgeprep-*.tmp"


def remove_files(paths: Iterable[Path], directory: Path) -> None:
    """Remove those of `paths` that are there, all of them in `directory`.

    Raises:
        StorageError: one cannot be removed.
    """
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        rule = "must be a directory that can be written"
        raise StorageError(f"{directory}: {rule}, got {error.strerror!r}") from error
