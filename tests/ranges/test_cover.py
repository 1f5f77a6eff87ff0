"""What counted values make of a range."""

import numpy as np
import pytest

from edgeprep.ranges import Histogram, measure_coverage


def histogram(*values: float) -> Histogram:
    counted = Histogram()
    counted.add(np.array(values, np.float32))
    return counted


# A step of the range is 4/255, 0.0157.
@pytest.mark.parametrize(
    ("low", "high", "clipped"),
    [
        (-2.0, 1.984, 0.0),
        (-1.9999999, 1.9839999, 0.0),
        (-1.993, 1.977, 0.0),
        (-1.97, 2.0, 0.5),
        (-2.0, 1.96, 0.25),
    ],
    ids=["at the ends", "float rounding", "less than half a step", "more below", "more above"],
)
def test_values_clip_that_are_further_outside_than_half_a_step(
    low: float, high: float, clipped: float
) -> None:
    seen = histogram(-2.0, -2.0, 0.5, 1.984)
    found = measure_coverage("taken", "", (low, high), seen, seen)
    assert found.evaluation == found.calibration
    # A bin is 1 % wide: values count by how much of it is outside.
    assert found.calibration.clipped == pytest.approx(clipped, abs=1e-9)
