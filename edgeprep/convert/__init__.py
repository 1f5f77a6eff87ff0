"""The converter: a recipe becomes one bundle, or a clear refusal."""

from edgeprep.convert.evaluate import Evaluation, evaluate
from edgeprep.convert.pipeline import convert
from edgeprep.convert.progress import Progress, silent
from edgeprep.convert.result import Result

__all__ = ["Evaluation", "Progress", "Result", "convert", "evaluate", "silent"]
