"""How many mutations that change answers the golden samples of a bundle notice."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mutations.damage import DAMAGES
from benchmarks.mutations.weights import list_weights, with_weight
from edgeprep.bundle import Bundle, Variant
from edgeprep.conversion.plan import build_named
from edgeprep.data import Prepared, build_reader, prepare_samples
from edgeprep.errors import BackendError
from edgeprep.interfaces import Backend, Device, Model, Options, Runner, Task
from edgeprep.recipe import load_recipe
from edgeprep.registry import create, default_registry
from edgeprep.runtime.golden import allowed_error, golden_error
from edgeprep.runtime.memory import answer
from edgeprep.stages.chain import Chain

__all__ = ["Mutation", "calibration_of", "mutate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One damaged model.

    Attributes:
        damage: a name of `DAMAGES`.
        weight: which was damaged.
        changed: how many calibration pictures have another answer.
        error: on the golden samples; infinite where the engine refused it.
        allowed: what is let pass.
    """

    damage: str
    weight: str
    changed: int
    error: float
    allowed: float

    @property
    def caught(self) -> bool:
        """Whether the golden samples tell it from the right model."""
        return not self.error <= self.allowed


def calibration_of(recipe_path: Path, limit: int) -> Prepared:
    """The calibration pictures of a recipe, from end to end, as its network takes them."""
    recipe, registry = load_recipe(recipe_path), default_registry()
    with closing(Chain.of_recipe(recipe, registry)) as chain:
        host, _ = chain.cut(chain.placements(recipe.placement)[0])
        where = "data.calibration"
        reader = build_reader(recipe.data.calibration or {}, where)
        samples = reader.open(directory=recipe.directory, where=where)
        prepared = prepare_samples(samples, host, where, fps=recipe.data.fps)
    chosen = np.unique(np.linspace(0, len(prepared) - 1, limit).astype(int))
    return prepared.some(chosen.tolist())


def mutate(
    bundle: Bundle, variant: Variant, pictures: Prepared, *, count: int, seed: int = 0
) -> Iterator[Mutation]:
    """Damage `variant` in `count` ways, each once, and run what comes out.

    Args:
        bundle: holds it.
        variant: of a task that has one label an answer.
        pictures: as `calibration_of` gives them.
        count: of mutations; the kinds of damage take turns.
        seed: of what is damaged, and how.
    """
    registry = default_registry()
    task: Task = build_named(registry, "task", bundle.manifest.task, "task")
    engine = _Engine.of(variant)
    model, golden = bundle.model(variant), bundle.golden(variant)
    allowed = allowed_error(variant, engine.options)

    def labels(runner: Runner) -> list[int]:
        outputs = (
            pictures.answer(index, lambda taken: answer(runner.run, taken, variant.states))
            for index in range(len(pictures))
        )
        return [_label(task, one) for one in outputs]

    with closing(engine.load(model)) as runner:
        right = labels(runner)
    weights = list_weights(model)
    rng = np.random.default_rng(seed)
    kinds = list(DAMAGES.items())
    for index in range(count):
        name, damage = kinds[index % len(kinds)]
        weight = weights[rng.integers(len(weights))]
        values = damage(weight.values, rng)
        error, changed = np.inf, len(pictures)
        try:
            with closing(engine.load(with_weight(model, weight, values))) as runner:
                error = golden_error(runner, golden, task)
                changed = sum(a != b for a, b in zip(labels(runner), right, strict=True))
        except BackendError:  # it is noticed before any golden sample runs
            pass
        yield Mutation(
            damage=name, weight=weight.name, changed=changed, error=error, allowed=allowed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    """An engine on the CPU, with its most exact options."""

    backend: Backend
    device: Device
    options: Options

    @classmethod
    def of(cls, variant: Variant) -> "_Engine":
        backend = create(default_registry().backends_for(variant.format)[0])
        device = backend.devices()[0]
        options = backend.options(device, variant.precision)[0]
        return cls(backend=backend, device=device, options=options)

    def load(self, model: Model) -> Runner:
        return self.backend.load(model, self.device, self.options)


def _label(task: Task, outputs: Sequence[NDArray[np.generic]]) -> int:
    found: int = task.decode(tuple(outputs), None).index
    return found
