"""What a teacher is worth: students of the same seed, data and epochs, with one and without.

Each seed is held to the limit on its own: what is a mean there is the accuracy, that of the
held-out pictures. The students are smaller than the pipeline's, so that a short training shows a
difference.
"""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from benchmarks.bundles import ROOT
from benchmarks.figures import Figure, Report
from edgeprep.compress.distil import Distil
from edgeprep.compress.prune import Prune
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
# Half the channels of the zoo's network are a start from which a short training gets somewhere.
WIDTH, EPOCHS, PICTURES, RATE = 0.5, 3, 4096, 1e-3


def measure() -> Report:
    """Train both students of every seed, and score them on the held-out pictures."""
    start = perf_counter()
    with TemporaryDirectory() as name:
        ground = Ground(Path(name))
        scores = [ground.students(seed) for seed in SEEDS]
    gains = [taught - alone for alone, taught in scores]
    return Report(
        title=f"distil: digits-mobilenet with half of its channels, {ground.parameters:,} "
        f"parameters, {EPOCHS} epochs of {PICTURES} pictures",
        figures=(
            Figure(
                name="accuracy with a teacher over without, least of seeds",
                value=min(gains),
                limit=0.0,
                rule="at least",
            ),
            Figure(name="mean of seeds", value=mean(gains), limit=0.0, rule="at least"),
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
        train = replace(recipe.train, learning_rate=RATE, workers=0)
        self.recipe = replace(recipe, train=train, compress=())
        chain = self.planned(self.recipe).chain
        host, self.graph = chain.cut("split")
        self.held_out = prepare_samples(
            self.planned(self.recipe).evaluation, host, "data.evaluation"
        )
        network = load_network(recipe.model, recipe.directory)
        self.student = Prune(ratio=1 - WIDTH).apply(network, self.bench(0, network))
        self.parameters = sum(weight.numel() for weight in self.student.parameters())

    def students(self, seed: int) -> tuple[float, float]:
        """The accuracy of a student that learned from labels alone, and of one that was taught."""
        bench = self.bench(seed, self.student)
        first, second = deepcopy(self.student), deepcopy(self.student)
        alone = bench.fine_tune(first.requires_grad_(), name="alone", epochs=EPOCHS)
        step = Distil(teacher=str(TEACHER), epochs=EPOCHS)
        return self.score(alone), self.score(step.apply(second, bench))

    def planned(self, recipe: Recipe) -> Plan:
        output = self.directory / "never-written.edgeprep"
        return make_plan(recipe, output, overwrite=False, registry=default_registry())

    def bench(self, seed: int, network: torch.nn.Module) -> RecipeWorkbench:
        """What passes work with: the order of the pictures and the pictures depend on the seed."""
        storage = self.directory / str(seed)
        storage.mkdir(exist_ok=True)
        training = {
            "factory": "data:training",
            "arguments": {"epoch": EPOCHS * seed, "count": PICTURES},
        }
        recipe = replace(
            self.recipe,
            data=replace(self.recipe.data, training=training),
            train=replace(self.recipe.train, seed=seed),
        )
        plan = self.planned(recipe)
        opened = open_training(
            recipe, chain=plan.chain, task=plan.task, registry=default_registry()
        )
        samples = self.held_out.inputs[:1]
        source = NetworkSource(network, self.graph, samples, scratch=storage)
        return RecipeWorkbench(
            plan=plan,
            source=source,
            storage=storage,
            image=samples,
            rewrap=lambda network: source,
            training=lambda: opened,
            progress=silent,
            where="compress[0]",
            rate_key="train.learning_rate",
        )

    def score(self, network: torch.nn.Module) -> float:
        """The share of held-out pictures that `network` names rightly."""
        chosen = range(len(self.held_out))
        (output,) = answers(network, ChainModule(self.graph), self.held_out, chosen, 64)
        right = output.argmax(1) == torch.tensor(self.held_out.labels)
        return float(right.double().mean())
