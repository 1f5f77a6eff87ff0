"""SiLU and its kin: a small negative tail that a wide positive range leaves no levels to."""

from collections.abc import Iterator

import numpy as np

from edgeprep.conversion.killers.finding import Finding
from edgeprep.conversion.killers.neighbours import paths_around
from edgeprep.conversion.killers.observed import Observed, kind, path_of

__all__ = ["find_activation_tails"]

_ONE_SIDED = ("silu", "hardswish", "gelu", "mish")
# Eight bits leave 22 dB of values whose root mean square is four steps.
_LEAST_STEPS = 4.0
# Of all values, but for those few that make the range.
_INNER_PERCENT = 99.9


def find_activation_tails(network: Observed) -> Iterator[Finding]:
    """Activations of which most values lie within a few steps, because some are very large."""
    for node in network.operations(*_ONE_SIDED):
        seen = network.seen.get(node.name)
        if seen is None or not seen.step:
            continue
        values = seen.values
        limit = float(np.percentile(values, _INNER_PERCENT))
        inner = values[values <= limit]
        steps = float(np.sqrt(np.mean(np.square(inner, dtype=np.float64)))) / seen.step
        # Where the range is not wider than the values are, nothing is gained by cutting it; and
        # below 1 these activations are not one-sided.
        if steps >= _LEAST_STEPS or seen.high < max(2 * limit, 1.0):
            continue
        yield Finding(
            killer="activation-tail",
            paths=(path_of(node),),
            measured=f"{kind(node)} gives {seen.low:.3g}..{seen.high:.3g}, but {_INNER_PERCENT} % "
            f"of it is below {limit:.3g}: its negative side has {-seen.low / seen.step:.1f} of 255 "
            "levels, or half of that where ranges are symmetric",
            # Not "mse": its ranges are as wide, because of what cutting costs the few.
            remedy='cut the range, by [quantize] calibrator = "percentile" and percentile = '
            f"{_INNER_PERCENT}, or train with an activation that ends, such as ReLU6",
            keep_float=paths_around(node, list(node.users)),
        )
