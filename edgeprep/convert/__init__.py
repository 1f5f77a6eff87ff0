"""The converter: a recipe becomes one bundle, or a clear refusal."""

from edgeprep.convert.pipeline import convert
from edgeprep.convert.progress import Progress
from edgeprep.convert.result import Result

__all__ = ["Progress", "Result", "convert"]
