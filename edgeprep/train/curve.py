"""The picture of a training: loss, score and learning rate over the epochs."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from edgeprep.files import atomic_write
from edgeprep.train.history import Row

__all__ = ["draw_curve"]

_SIZE = (7.0, 6.0)  # inches
_DOTS = 100  # per inch


def draw_curve(path: Path, rows: Sequence[Row], best: int) -> None:
    """Write the picture of `rows` to `path`, as PNG, in the place of the one before.

    Args:
        path: where.
        rows: the epochs, at least one.
        best: the number of the one whose weights are kept.

    Raises:
        StorageError: it cannot be written.
    """
    panels = {
        "loss": [row.loss for row in rows],
        **{name: [row.scores[name] for row in rows] for name in rows[0].scores},
        "learning rate": [row.learning_rate for row in rows],
    }
    # Not by pyplot, which looks for a screen.
    figure = Figure(figsize=_SIZE, dpi=_DOTS, layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True)
    for axis, (name, values) in zip(axes, panels.items(), strict=True):
        _draw(axis, name, [row.epoch for row in rows], values, best)
    axes[-1].set_xlabel("epoch")
    content = io.BytesIO()
    # Without the name of the library, so that the same epochs give the same bytes.
    figure.savefig(content, format="png", metadata={"Software": None})
    atomic_write(path, [content.getvalue()], overwrite=True)


def _draw(axis: Axes, name: str, epochs: Sequence[int], values: Sequence[float], best: int) -> None:
    axis.plot(epochs, values, marker="o" if len(epochs) == 1 else "")
    axis.axvline(best, color="0.7", linestyle="--")
    axis.set_ylabel(name)
    axis.grid(visible=True, alpha=0.3)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
