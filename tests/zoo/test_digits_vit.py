"""The zoo's vision transformer: what its card, its weights and its recipe promise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from edgeprep.data import build_reader, load_factory
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tasks.classify import Classify
from edgeprep.train.network import load_network

ZOO = Path(__file__).resolve().parents[2] / "model_zoo"
MODEL, MOBILENET = ZOO / "digits-vit", ZOO / "digits-mobilenet"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(MODEL / "recipe.toml")


def test_weights_are_float32_and_below_one_megabyte() -> None:
    path = MODEL / "weights.safetensors"
    assert path.stat().st_size < 1_000_000
    with safe_open(path, "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    # I64: the batch counters of the normalizations.
    assert types == {"F32", "I64"}


def test_most_held_out_digits_on_held_out_photographs_are_named_rightly(recipe: Recipe) -> None:
    table = {**(recipe.data.evaluation or {}), "limit": 300}
    samples = build_reader(table, "data.evaluation").open(
        directory=MODEL, where="data.evaluation", task=Classify(labels=tuple(recipe.task["labels"]))
    )
    host, graph = Chain.of_recipe(recipe, default_registry()).cut("split")
    model = torch.nn.Sequential(ChainModule(graph), load_network(recipe.model, MODEL)).eval()
    pictures, labels = zip(*samples, strict=True)
    with torch.inference_mode():
        rows = np.concatenate([host.prepare(picture) for picture in pictures])
        answers = model(torch.from_numpy(rows)).argmax(1)
    # 0.97 on all thousand, by the card; one picture of 300 is 0.003.
    assert np.mean(answers.numpy() == np.array(labels)) >= 0.96


def test_it_is_judged_on_the_pictures_of_digits_mobilenet() -> None:
    for name in ("data:evaluation", "data:calibration", "data:training"):
        # The same function of the same module, so that nothing of it is there twice.
        assert load_factory(name, MODEL, "data") is load_factory(name, MOBILENET, "data")


def test_its_first_layers_are_those_of_digits_mobilenet() -> None:
    ours = load_file(MODEL / "weights.safetensors")
    theirs = load_file(MOBILENET / "weights.safetensors")
    shared = {name: value for name, value in ours.items() if name.startswith("seeing.")}
    # A stem and five blocks of two convolutions, each with five values of its normalization.
    assert len(shared) == 6 + 5 * 2 * 6
    for name, value in shared.items():
        # A moving average of equal weights rounds.
        wanted = theirs[name.replace("seeing.", "features.")]
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-7)


def test_every_place_of_a_picture_is_looked_at_from_every_other(recipe: Recipe) -> None:
    tokens = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    network = load_network(recipe.model, MODEL)
    network.get_submodule("blocks.0")(tokens)[0, 0].sum().backward()
    assert tokens.grad is not None
    assert bool((tokens.grad.abs().amax(2) > 0).all())
