"""Layers whose channels have weights of very different size."""

from collections.abc import Iterator

import numpy as np
from torch.fx import Node

from edgeprep.conversion.killers.finding import Finding
from edgeprep.conversion.killers.folding import folded_sizes
from edgeprep.conversion.killers.observed import LAYERS, Observed, kind, path_of

__all__ = ["find_channel_weights"]

# Half of the channels have fewer than 16 of 255 levels then: four bits.
_FACTOR = 16.0


def find_channel_weights(network: Observed) -> Iterator[Finding]:
    """Layers of whose weights one scale for all leaves little to half of the channels."""
    for node in network.operations(*LAYERS):
        sizes = folded_sizes(network, node)
        sizes = sizes[sizes > 0]
        if not sizes.size or sizes.max() < _FACTOR * np.median(sizes):
            continue
        ratio = sizes.max() / np.median(sizes)
        yield Finding(
            killer="channel-weights",
            level="note",
            paths=(path_of(node),),
            measured=f"{_name(node)} has weights up to {sizes.max():.3g} in one channel and up to "
            f"{np.median(sizes):.3g} in the middle one of {sizes.size}, to which one scale for all "
            f"leaves {255 / ratio:.1f} of 255 levels",
            remedy="int8 of this package has a scale for each channel, which is enough; for an "
            "engine that has one for all, equalize the layer with the next one or keep it in float",
        )


def _name(layer: Node) -> str:
    groups = layer.args[6] if len(layer.args) > 6 and kind(layer).startswith("conv") else 1
    name = kind(layer)
    return f"depthwise {name}" if groups != 1 else name
