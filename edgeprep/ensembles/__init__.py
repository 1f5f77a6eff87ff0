"""Ensembles: bundles of several networks, made of their bundles, and scored."""

from edgeprep.ensembles.evaluate import evaluate_ensemble
from edgeprep.ensembles.make import ensemble
from edgeprep.ensembles.result import EnsembleResult

__all__ = ["EnsembleResult", "ensemble", "evaluate_ensemble"]
