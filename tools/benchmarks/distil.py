"""What a teacher is worth: students of the same seed, data and epochs, with one and without."""

from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from benchmarks.bundles import ROOT
from benchmarks.figures import Figure, Report
from edgeprep.compress.distil import Distil
from edgeprep.conversion.plan import Plan, make_plan
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.workbench import RecipeWorkbench
from edgeprep.data import prepare_samples, silent
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.train import open_training
from edgeprep.train.network import load_network
from edgeprep.train.scoring import answers

__all__ = ["measure"]

RECIPE = ROOT / "model_zoo" / "digits-mobilenet" / "pipeline.toml"
TEACHER = ROOT / "model_zoo" / "digits-resnet"
SEEDS = (0, 1, 2)
# A third of the zoo's network in width, for as long as it learns most.
EPOCHS, PICTURES, WIDTH, RATE = 10, 2048, 0.5, 3e-3
TRAINING = {"factory": "data:training", "arguments": {"count": PICTURES}}


def measure() -> Report:
    """Train both students of every seed, and score them on the held-out pictures."""
    start = perf_counter()
    with TemporaryDirectory() as name:
        ground = Ground(Path(name))
        scores = [ground.students(seed) for seed in SEEDS]
    gains = [taught - alone for alone, taught in scores]
    return Report(
        title=f"distil: a student of {ground.parameters:,} parameters, {EPOCHS} epochs of "
        f"{PICTURES} pictures",
        figures=(
            Figure(
                name="accuracy with a teacher over without, mean of seeds",
                value=mean(gains),
                limit=0.0,
                rule="at least",
            ),
        ),
        notes=(
            *(
                f"seed {seed}: {alone:.4f} without a teacher, {taught:.4f} with digits-resnet"
                for seed, (alone, taught) in zip(SEEDS, scores, strict=True)
            ),
            f"on {len(ground.held_out)} held-out pictures; {perf_counter() - start:.0f} s",
        ),
        details={"seeds": SEEDS, "scores": scores},
    )


class Ground:
    """What all students stand on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        recipe = load_recipe(RECIPE)
        self.recipe = replace(
            recipe,
            model=replace(recipe.model, arguments={"classes": 10, "width": WIDTH}, weights=None),
            data=replace(recipe.data, training=TRAINING, validation=None),
            train=replace(recipe.train, epochs=EPOCHS, learning_rate=RATE, workers=0),
            compress=(),
        )
        self.plan = self.planned(self.recipe)
        host, self.graph = self.plan.chain.cut("split")
        self.held_out = prepare_samples(self.plan.evaluation, host, "data.evaluation")
        self.parameters = sum(weight.numel() for weight in self.network(0).parameters())

    def students(self, seed: int) -> tuple[float, float]:
        """The accuracy of a student that learned from labels alone, and of one that was taught."""
        bench = self.bench(seed)
        alone = bench.fine_tune(self.network(seed), name="alone", epochs=EPOCHS)
        step = Distil(teacher=str(TEACHER), epochs=EPOCHS)
        return self.score(alone), self.score(step.apply(self.network(seed), bench))

    def network(self, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        return load_network(self.recipe.model, self.recipe.directory).requires_grad_()

    def planned(self, recipe: Recipe) -> Plan:
        output = self.directory / "never-written.edgeprep"
        return make_plan(recipe, output, overwrite=False, registry=default_registry())

    def bench(self, seed: int) -> RecipeWorkbench:
        storage = self.directory / str(seed)
        storage.mkdir()
        plan = self.planned(replace(self.recipe, train=replace(self.recipe.train, seed=seed)))
        training = open_training(
            plan.recipe, chain=plan.chain, task=plan.task, registry=default_registry()
        )
        samples = self.held_out.inputs[:1]
        source = NetworkSource(self.network(seed), self.graph, samples, scratch=storage)
        return RecipeWorkbench(
            plan=plan,
            source=source,
            storage=storage,
            image=samples,
            rewrap=lambda network: source,
            training=lambda: training,
            progress=silent,
        )

    def score(self, network: torch.nn.Module) -> float:
        """The share of held-out pictures that `network` names rightly."""
        chosen = range(len(self.held_out))
        (output,) = answers(network, ChainModule(self.graph), self.held_out, chosen, 64)
        right = output.argmax(1) == torch.tensor(self.held_out.labels)
        return float(right.double().mean())
