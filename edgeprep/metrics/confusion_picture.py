"""A confusion matrix as a picture. Importing this module imports matplotlib."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["draw_confusion"]

# More classes than these leave no room for counts in the cells, or for names at the edges.
_MOST_COUNTED, _MOST_NAMED = 20, 60
# Counts of pixels do not fit into the cells: shares of the row stand there.
_TOO_LONG = 10_000
_INCHES_PER_CLASS, _SMALLEST, _LARGEST = 0.4, 5.0, 16.0


def draw_confusion(matrix: NDArray[np.int64], labels: Sequence[str], title: str) -> bytes:
    """`matrix`, `(classes, classes)` with a row for each true class, as a PNG file.

    Colours are shares of the row, so that a rare class shows as clearly as a common one.
    """
    classes = len(labels)
    side = min(max(_SMALLEST, classes * _INCHES_PER_CLASS), _LARGEST)
    # NOTE: no pyplot, which would keep every figure and might open a window.
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_title(_plain(title), fontsize="medium")
    ticks = range(classes) if classes <= _MOST_NAMED else []
    names = [_plain(labels[index]) for index in ticks]
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_yticks(ticks, names)
    if classes <= _MOST_COUNTED:
        for (row, column), count in np.ndenumerate(matrix):
            share = shares[row, column]
            color = "white" if share > 0.5 else "black"
            text = str(count) if matrix.max() < _TOO_LONG else f"{share:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=color)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _plain(text: str) -> str:
    """`text` without what matplotlib takes for a formula."""
    return text.replace("$", r"\$")
