"""What becomes of a layer's weights when the batch norm behind it is folded into them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node

from edgeprep.conversion.killers.observed import CONVOLUTIONS, LAYERS, Observed, kind

__all__ = ["folded_sizes", "folds_into"]

_STEPS_BETWEEN = ("dropout", "clone", "contiguous", "alias")


def folds_into(norm: Node) -> Node | None:
    """The layer into which exporters fold the batch norm `norm`; None where they cannot."""
    node = norm.all_input_nodes[0]
    while kind(node) in _STEPS_BETWEEN and len(node.users) == 1:
        node = node.all_input_nodes[0]
    # What else reads the layer would read other numbers then.
    if kind(node) not in LAYERS or len(node.users) != 1:
        return None
    return node


def folded_sizes(network: Observed, layer: Node) -> NDArray[np.float64]:
    """The largest weight of each channel that `layer` gives: `(channels,)`, none negative.

    With the factors of the batch norm that is folded into it. Empty where there are no weights.
    """
    weight = network.weight(layer)
    if weight is None or weight.ndim < 2:
        return np.empty(0)
    if kind(layer) in CONVOLUTIONS and "transpose" in kind(layer):
        weight = weight.transpose(0, 1)
    sizes = weight.double().abs().flatten(1).amax(1)
    for norm in network.operations("batch_norm"):
        factors = _factors(network, norm)
        if folds_into(norm) is layer and factors is not None and factors.shape == sizes.shape:
            sizes = sizes * factors.abs()
    return np.asarray(sizes.numpy())


def _factors(network: Observed, norm: Node) -> torch.Tensor | None:
    """What each channel is multiplied by."""
    named = [argument.name if isinstance(argument, Node) else "" for argument in norm.args[1:5]]
    gain, variance = (network.weights.get(named[index]) for index in (0, 3))
    if variance is None:
        return None
    epsilon = float(norm.args[7])  # type: ignore[arg-type]  # ATen's schema says that it is one
    factors = (variance.double() + epsilon).rsqrt()
    return factors if gain is None else factors * gain.double()
