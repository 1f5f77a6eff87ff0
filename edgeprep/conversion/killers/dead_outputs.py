"""Layers and outputs that say nothing: their weights are 0, or they never change."""

from collections.abc import Iterator

import numpy as np

from edgeprep.conversion.killers.finding import Finding
from edgeprep.conversion.killers.observed import LAYERS, Observed, kind, path_of

__all__ = ["find_constant_outputs", "find_zero_weights"]

# An output that varies less, of its size, could as well ignore its input; see check_oracle.
_LEAST_VARIATION = 1e-3


def find_zero_weights(network: Observed) -> Iterator[Finding]:
    """Layers whose weights are all 0."""
    for node in network.operations(*LAYERS):
        weight = network.weight(node)
        if weight is not None and not bool(weight.any()):
            yield Finding(
                killer="zero-weights",
                paths=(path_of(node),),
                measured=f"all {weight.numel()} weights of {kind(node)} are 0, which has no scale",
                remedy="are these trained weights? load them by model.weights, or leave the "
                "layer out",
            )


def find_constant_outputs(network: Observed) -> Iterator[Finding]:
    """Outputs that are the same for all samples."""
    if network.samples < 2:
        return
    for index, (node, values) in enumerate(zip(network.output_nodes, network.outputs, strict=True)):
        largest = float(np.abs(values).max(initial=0.0))
        variation = float(np.ptp(values, axis=0).max(initial=0.0))
        if variation < _LEAST_VARIATION * largest or largest == 0:
            yield Finding(
                killer="constant-output",
                paths=(path_of(node),),
                measured=f"output {index} differs by {variation:.2g} between {network.samples} "
                f"samples, and reaches {largest:.2g}",
                remedy="leave it out of what the network returns if it does not depend on the "
                "picture; if it should, are these trained weights?",
            )
