"""How an ensemble makes one result of those of its members: in numpy, on the device."""

from edgeprep.combine.combiner import Arrays, Combiner, Terms
from edgeprep.combine.combiners import COMBINERS, build_combiner

__all__ = ["COMBINERS", "Arrays", "Combiner", "Terms", "build_combiner"]
