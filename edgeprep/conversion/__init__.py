"""The converter: a recipe becomes one bundle, or a clear refusal."""

from edgeprep.conversion.evaluate import Evaluation, evaluate, evaluate_source
from edgeprep.conversion.pipeline import convert
from edgeprep.conversion.progress import Progress, silent
from edgeprep.conversion.result import Result

__all__ = [
    "Evaluation",
    "Progress",
    "Result",
    "convert",
    "evaluate",
    "evaluate_source",
    "silent",
]
