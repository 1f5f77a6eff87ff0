"""A small network is trained as the room's docstring says, and runs on what it was trained on."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

from edgeprep.pictures import read_picture, write_picture
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.train import Augment, AugmentModule, build_augment

# Workers are forks. Where other tests have loaded jax, it warns of them; no worker touches it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

RECIPE = """
name = "small"

[model]
factory = "model:build"

[task]
use = "classify"

[[augment]]
use = "random-crop"
size = [20, 20]
padding = 2
[[augment]]
use = "random-flip"
[[augment]]
use = "color-jitter"
brightness = 0.2
[[augment]]
use = "random-noise"
sigma = 4

[[preprocess]]
use = "resize"
size = 18
mode = "short"
[[preprocess]]
use = "center-crop"
size = [16, 16]
[[preprocess]]
use = "gaussian"
sigma = 1.0
[[preprocess]]
use = "normalize"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[data]
calibration = { use = "random", samples = 2 }

[[target]]
format = "onnx"
precision = ["fp32"]
"""
REGISTRY = Registry(installed=False)
COUNT = 24


class Pictures(Dataset):
    def __init__(self, paths, augment, host):
        self.paths, self.augment, self.host = paths, augment, host

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        picture = self.augment(read_picture(self.paths[index]), index)
        return self.host.prepare(picture)[0], index % 3


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return load_recipe(path)


@pytest.fixture
def paths(tmp_path):
    """Pictures of three classes: which channel is the brightest."""
    rng = np.random.default_rng(3)
    paths = [tmp_path / f"{index}.png" for index in range(COUNT)]
    for index, path in enumerate(paths):
        picture = rng.integers(0, 120, (20 + index % 4, 23, 3), dtype=np.uint8)
        picture[..., index % 3] += 70
        write_picture(path, picture)
    return paths


def trained(recipe, paths, *, workers, epochs=5):
    """The model, and its loss over each epoch."""
    torch.manual_seed(0)
    chain = Chain.of_recipe(recipe, REGISTRY)
    host, graph = chain.cut("split")
    stages = build_augment(recipe.augment, chain=chain, registry=REGISTRY)
    augment = Augment(stages, seed=0, input=recipe.input.image)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    )
    model = torch.nn.Sequential(ChainModule(graph), network)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    data = Pictures(paths, augment, host)
    # Of a generator that it shares with its sampler, a loader draws more often without workers.
    sampler = RandomSampler(data, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(
        data, batch_size=8, sampler=sampler, num_workers=workers, persistent_workers=workers > 0
    )
    losses = []
    for epoch in range(epochs):
        augment.set_epoch(epoch)
        losses.append(0.0)
        for pictures, labels in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(pictures), labels)
            loss.backward()
            optimizer.step()
            losses[-1] += loss.item()
    return model.eval(), losses


def test_a_network_learns_and_sees_what_the_device_computes(recipe, paths):
    model, losses = trained(recipe, paths, workers=0)
    assert losses[-1] < losses[0] / 2
    chain = Chain.of_recipe(recipe, REGISTRY)
    host, graph = chain.cut("split")
    right = 0
    for index, path in enumerate(paths):
        prepared = host.prepare(read_picture(path))
        on_device = graph.apply(NumpyPrimitives(), prepared)
        with torch.no_grad():
            seen = model[0](torch.from_numpy(prepared)).numpy()
            answer = model(torch.from_numpy(prepared))
            same = model[1](torch.from_numpy(on_device))
        # 1e-5 levels of 255, in standard deviations.
        assert np.abs(seen - on_device).max() <= 1e-5
        assert np.abs((answer - same).numpy()).max() <= 1e-4
        right += int(answer.argmax()) == index % 3
    assert right >= COUNT - 2


def test_training_repeats_to_the_bit_whatever_the_workers(recipe, paths):
    one, other = (trained(recipe, paths, workers=workers, epochs=2)[0] for workers in (0, 2))
    weights = one.state_dict()
    assert all(torch.equal(weights[name], each) for name, each in other.state_dict().items())


def test_pictures_may_vary_in_the_model_instead(recipe):
    camera = recipe.input.image.replace(height=24, width=24)
    chain = Chain(input=camera, stages=Chain.of_recipe(recipe, REGISTRY).stages)
    stages = build_augment(recipe.augment, chain=chain, registry=REGISTRY)
    augment = AugmentModule(stages, seed=0, input=camera)
    varied = ChainModule(Chain(input=camera.replace(height=20, width=20), stages=chain.stages))
    plain = ChainModule(chain)
    pictures = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)
    )
    assert varied(augment(pictures)).shape == (5, 3, 16, 16)
    expected = chain.apply(NumpyPrimitives(), pictures.numpy())
    assert np.abs(plain(augment.eval()(pictures)).numpy() - expected).max() <= 1e-5
