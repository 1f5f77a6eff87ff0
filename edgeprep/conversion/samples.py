"""Pictures as graphs take them."""

from edgeprep.data.prepared import Prepared, prepare_samples

__all__ = ["Prepared", "prepare_samples"]
