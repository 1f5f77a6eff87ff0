"""Ranges of activations, from what occurs in them: one meaning for the quantizers of all formats.

Formats count what their own graphs compute, each activation in a `Histogram`, and leave the choice
of the range to `choose_range`.
"""

from edgeprep.ranges.choose import choose_range
from edgeprep.ranges.cover import measure_coverage
from edgeprep.ranges.histogram import Histogram
from edgeprep.ranges.store import load_histograms, save_histograms

__all__ = ["Histogram", "choose_range", "load_histograms", "measure_coverage", "save_histograms"]
