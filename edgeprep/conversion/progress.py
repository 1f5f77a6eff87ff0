"""How a conversion tells what it does."""

from edgeprep.data.progress import Progress, silent

__all__ = ["Progress", "silent"]
