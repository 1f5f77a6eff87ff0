"""What leaves a stage: the type that it promises, and the numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage
from edgeprep.registry.offers import in_one_line
from edgeprep.tensors import BOUNDS, ImageSpec
from edgeprep.testing.arrivals import free, show
from edgeprep.testing.rules import ConformanceError, require

__all__ = ["check_output", "check_range", "difference", "output_of"]

# Of 2 degrees each.
HUES = 180


def output_of(stage: Stage, image: ImageSpec) -> ImageSpec | None:
    """What `stage` says of such pictures; None where it refuses them."""
    what = f"stage {stage.name!r} on {show(image)}: output()"
    try:
        output = stage.output(image)
    except RecipeError:
        return None
    except Exception as fault:
        rule = f"{what} must refuse pictures by a RecipeError"
        raise ConformanceError(f"{rule}, got {in_one_line(fault)}") from fault
    require(isinstance(output, ImageSpec), f"{what} must give an ImageSpec, got {output!r}")
    return output


def check_output(stage: Stage, arriving: ImageSpec, leaving: ImageSpec) -> None:
    """Check that `leaving` is of one size, and is what `stage` says each time, of any size too."""
    what = f"stage {stage.name!r} on {show(arriving)}: output()"
    require(leaving.is_fixed, f"{what} must give a fixed size, got {show(leaving)}")
    again = output_of(stage, arriving)
    require(
        again == leaving,
        f"{what} must always give the same, got {show(leaving)} and {again and show(again)}",
    )
    promised = output_of(stage, free(arriving))
    if promised is not None:
        kept = leaving.replace(
            height=leaving.height if promised.height else None,
            width=leaving.width if promised.width else None,
        )
        require(
            promised == kept,
            f"{what} must be what a free size promises, {show(promised)}, got {show(leaving)}",
        )


def check_range(what: str, leaving: ImageSpec, result: NDArray[Any], tolerance: float) -> None:
    """Check that the values of `result` are what its type says; `what` starts the message."""
    low, high = BOUNDS[leaving.range]
    slack = tolerance * high if np.isfinite(high) else 0.0
    require(
        low - slack <= result.min() and result.max() <= high + slack,
        f"{what} must give values in {leaving.range}, as output() says, "
        f"got {result.min():g} to {result.max():g}",
    )
    if leaving.color == "hsv" and leaving.range == "0..255":
        hue = result[:, 0] if leaving.layout == "nchw" else result[..., 0]
        require(
            hue.max() <= HUES + tolerance * HUES,
            f"{what} must give hues in 0..{HUES}, as hsv has them, got up to {hue.max():g}",
        )


def difference(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference, relative to the largest value expected, or to 1 below that.

    Unlike an output of a network, a picture may be black, and all but black somewhere else.
    """
    if actual.shape != expected.shape:
        return float("inf")
    wanted = expected.astype(np.float64)
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    return float(np.abs(actual - wanted).max(initial=0.0)) / scale
