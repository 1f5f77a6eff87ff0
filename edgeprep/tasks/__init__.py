"""What the outputs of a network mean, in numpy."""

from edgeprep.tasks.classify import Classification, Classify, Label
from edgeprep.tasks.tensors import RawTensors, Tensors

__all__ = ["Classification", "Classify", "Label", "RawTensors", "Tensors"]
