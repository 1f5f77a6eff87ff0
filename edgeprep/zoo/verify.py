"""Whether a model is what its card says: its files, its golden samples, its score."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from edgeprep.conversion.evaluate import evaluate_source
from edgeprep.data import Progress, silent
from edgeprep.errors import EdgePrepError, StorageError
from edgeprep.files import open_regular
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.train import load_network
from edgeprep.zoo.golden import GOLDEN, read_golden, worst_error
from edgeprep.zoo.models import ZooModel

__all__ = ["GOLDEN_TOLERANCE", "METRIC_TOLERANCE", "Check", "Verified", "score", "verify_model"]

# The gate of float variants: another torch, or another processor, rounds otherwise.
GOLDEN_TOLERANCE = 1e-4
# Other roundings can turn a few answers of a thousand, and move a mean of decibels less.
METRIC_TOLERANCE = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: "files", "weights", "golden" or a metric's.
        passed: whether it is as it should be.
        said: what was found, in words.
    """

    name: str
    passed: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found of one model; the later checks are left out where files are not right."""

    name: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as it should be."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep zoo verify --format json` prints it."""
        checks = [
            {"check": check.name, "passed": check.passed, "said": check.said}
            for check in self.checks
        ]
        return {"name": self.name, "passed": self.passed, "checks": checks}


def verify_model(
    model: ZooModel,
    *,
    quick: bool = False,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> Verified:
    """Hold a model to its card: digests, weights, golden samples and its score.

    What fails is a check that did not pass, and no error.

    Args:
        model: of a zoo, or a copy.
        quick: without the score, which takes all evaluation data.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every check.
    """
    registry = registry or default_registry()
    checks: list[Check] = []

    def check(name: str, look: Callable[[], str]) -> bool:
        with progress(f"{model.name}: {name}") as done:
            try:
                said, passed = look(), True
            except EdgePrepError as error:
                said, passed = str(error), False
            done(said if passed else f"FAILED: {said}")
        checks.append(Check(name=name, passed=passed, said=said))
        return passed

    # In turn: a recipe that breaks a rule would fail at everything.
    whole = check("files", lambda: _files(model)) and check("weights", lambda: _weights(model))
    if whole:
        check("golden", lambda: _golden(model, registry))
        if not quick:
            check(model.metric, lambda: _score(model, registry))
    return Verified(name=model.name, checks=tuple(checks))


def _files(model: ZooModel) -> str:
    facts = {"weights sha256": model.weights, "golden sha256": model.directory / GOLDEN}
    for fact, path in facts.items():
        with open_regular(path) as stream:
            digest = sha256(stream.read()).hexdigest()
        wanted = model.card.facts.get(fact)
        if digest != wanted:
            rule = f"{path.name}: must have sha256 {wanted!r}, as card.md says"
            raise StorageError(f"{rule}, got {digest!r}")
    return "weights and golden samples have the digests of card.md"


def _weights(model: ZooModel) -> str:
    network = load_network(model.recipe.model, model.directory)
    return f"{sum(one.numel() for one in network.parameters()):,} parameters"


def _golden(model: ZooModel, registry: Registry) -> str:
    golden = read_golden(model)
    error = worst_error(model.recipe, golden, registry)
    found = f"{len(golden)} samples, relative error {error:.1e}"
    if not error <= GOLDEN_TOLERANCE:
        rule = f"{GOLDEN}: relative error must be at most {GOLDEN_TOLERANCE:g}"
        raise StorageError(f"{rule}, got {error:.2g}; model.py or torch computes something else")
    return found


def _score(model: ZooModel, registry: Registry) -> str:
    name, wanted = model.metric, model.card.number(model.metric)
    value, samples = score(model.recipe, registry)
    # 0.753 - 0.75 is above 0.003 in binary.
    if wanted is None or not round(abs(value - wanted), 9) <= METRIC_TOLERANCE:
        rule = f"{name}: must be {wanted} as card.md says, give or take {METRIC_TOLERANCE}"
        raise StorageError(f"{rule}, got {value:.4f} on {samples} samples")
    return f"{value:.4f} on {samples} samples; {wanted} in card.md"


def score(recipe: Recipe, registry: Registry | None = None) -> tuple[float, int]:
    """What the network of `recipe` scores by the metric of its budget, and on how many samples.

    Raises: see `edgeprep.conversion.evaluate_source`.
    """
    evaluation = evaluate_source(recipe, registry=registry)
    return evaluation.scores[0].values[evaluation.metrics[0]], evaluation.samples
