"""What each epoch came to, and the files that say so."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeprep.files import atomic_write
from edgeprep.train.files import ROWS, TABLE

__all__ = ["Row", "write_history"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One epoch.

    Attributes:
        epoch: its number, from 1.
        loss: the mean over the training pictures while they were learned from.
        learning_rate: in its last step.
        scores: on the validation data afterwards, by the name of the metric.
        seconds: how long it took.
    """

    epoch: int
    loss: float
    learning_rate: float
    scores: Mapping[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As a line of `metrics.jsonl`."""
        return asdict(self)

    def describe(self) -> str:
        """For people, on one line."""
        scores = [f", {name} {value:.4f}" for name, value in self.scores.items()]
        return f"loss {self.loss:.4f}{''.join(scores)}, learning rate {self.learning_rate:.2g}"


def write_history(directory: Path, rows: Sequence[Row]) -> None:
    """Write `metrics.jsonl` and `metrics.csv`, a line an epoch, in the place of those before.

    Raises:
        StorageError: they cannot be written.
    """
    lines = [f"{json.dumps(_flat(row))}\n".encode() for row in rows]
    atomic_write(directory / ROWS, lines, overwrite=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_flat(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_flat, rows))
    atomic_write(directory / TABLE, [text.getvalue().encode()], overwrite=True)


def _flat(row: Row) -> dict[str, Any]:
    """A column for each metric."""
    fields = asdict(row)
    scores, seconds = fields.pop("scores"), fields.pop("seconds")
    known = {name: value if math.isfinite(value) else None for name, value in scores.items()}
    return {**fields, **known, "seconds": seconds}
