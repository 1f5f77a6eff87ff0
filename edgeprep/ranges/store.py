"""Histograms on the disk, so that they are counted once for many choices of ranges."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from edgeprep.files import atomic_write
from edgeprep.ranges.histogram import BINS, Histogram

__all__ = ["load_histograms", "save_histograms"]


def save_histograms(histograms: Mapping[str, Histogram], path: Path) -> None:
    """Write `histograms`, by the names of tensors, to `path`, whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    counted = [one.counts for one in histograms.values()]
    used = [np.flatnonzero(counts) for counts in counted]
    content = BytesIO()
    np.savez(
        content,
        names=np.array(list(histograms), dtype=np.str_),
        ends=np.array([(one.low, one.high) for one in histograms.values()]).reshape(-1, 2),
        lengths=np.array([len(bins) for bins in used], np.int64),
        bins=np.concatenate([np.empty(0, np.int64), *used]),
        counts=np.concatenate(
            [np.empty(0, np.int64)]
            + [counts[bins] for counts, bins in zip(counted, used, strict=True)]
        ),
    )
    atomic_write(path, [content.getvalue()], overwrite=True)


def load_histograms(path: Path) -> dict[str, Histogram]:
    """What `save_histograms` wrote to `path`."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    histograms = {}
    stop = 0
    for name, (low, high), length in zip(
        *(arrays[key].tolist() for key in ("names", "ends", "lengths")), strict=True
    ):
        start, stop = stop, stop + length
        counts = np.zeros(BINS, np.int64)
        counts[arrays["bins"][start:stop]] = arrays["counts"][start:stop]
        histograms[name] = Histogram.restored(low, high, counts)
    return histograms
