"""The source network, which is loaded as for training."""

from edgeprep.train.network import load_network
from edgeprep.train.weights import load_weights

__all__ = ["load_network", "load_weights"]
