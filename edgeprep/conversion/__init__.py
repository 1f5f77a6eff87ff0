"""The converter: a recipe becomes one bundle, or a clear refusal."""

from edgeprep.conversion.evaluate import Evaluation, evaluate, evaluate_source
from edgeprep.conversion.pipeline import convert
from edgeprep.conversion.result import Result
from edgeprep.data import Progress, silent

__all__ = [
    "Evaluation",
    "Progress",
    "Result",
    "convert",
    "evaluate",
    "evaluate_source",
    "silent",
]
