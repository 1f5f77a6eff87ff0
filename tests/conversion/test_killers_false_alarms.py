"""Networks as they are, in which nothing breaks int8, and nothing is found."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from edgeprep.conversion.killers import find_killers, observe
from edgeprep.data import load_factory
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.train import load_network

ZOO = Path(__file__).parents[2] / "model_zoo" / "digits-mobilenet"


def found(network, samples):
    return [str(f) for f in find_killers(observe(network.eval(), samples[0], samples))]


def noise(*shape):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(1, *shape, generator=generator) for _ in range(8)]


def as_trained(network):
    """`network` with batch norms that have seen something: no two channels alike."""
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight.data, 0.3, 1.5),
                (module.bias.data, -0.5, 0.5),
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.2, 2.0),
            ):
                tensor.copy_(torch.empty_like(tensor).uniform_(low, high, generator=generator))
    return network


def unit(arriving, leaving, kernel=3, stride=1, groups=1, act=nn.ReLU):
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(arriving, leaving, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(leaving),
        act(),
    )


class Residual(nn.Module):
    """The bottleneck of ResNet."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            unit(channels, channels // 4, 1),
            unit(channels // 4, channels // 4),
            unit(channels // 4, channels, 1, act=nn.Identity),
        )
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x + self.body(x))


class Inverted(nn.Module):
    """The block of MobileNetV3: depthwise, squeeze and excite, hard-swish."""

    def __init__(self, channels):
        super().__init__()
        wide = 4 * channels
        self.expand = unit(channels, wide, 1, act=nn.Hardswish)
        self.depthwise = unit(wide, wide, groups=wide, act=nn.Hardswish)
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(wide, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, wide, 1),
            nn.Hardsigmoid(),
        )
        self.project = unit(wide, channels, 1, act=nn.Identity)

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        return x + self.project(y * self.squeeze(y))


def ending(channels):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)


def test_in_the_zoos_network_nothing_is_found():
    recipe = load_recipe(ZOO / "recipe.toml")
    data = load_factory("data:calibration", ZOO, "data.calibration")
    host, graph = Chain.of_recipe(recipe, default_registry()).cut("split")
    pictures = (host.prepare(picture) for picture, _ in islice(data(), 16))
    samples = [torch.from_numpy(graph.apply(NumpyPrimitives(), each)) for each in pictures]
    assert found(load_network(recipe.model, ZOO), samples) == []


@pytest.mark.parametrize("seed", range(3))
def test_in_a_residual_network_nothing_is_found(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(
        unit(3, 32, 7, 2), nn.MaxPool2d(3, 2, 1), Residual(32), Residual(32), *ending(32)
    )
    assert found(as_trained(network), noise(3, 32, 32)) == []


@pytest.mark.parametrize("seed", range(3))
def test_in_a_mobile_network_with_hard_swish_nothing_is_found(seed):
    torch.manual_seed(seed)
    stem = unit(3, 16, 3, 2, act=nn.Hardswish)
    network = nn.Sequential(stem, Inverted(16), Inverted(16), *ending(16))
    assert found(as_trained(network), noise(3, 32, 32)) == []


# transformers and what it brings along warn of their own future.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_in_a_vision_transformer_nothing_is_found():
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        num_labels=5,
    )

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.vit = ViTForImageClassification(config)

        def forward(self, x):
            return self.vit(x).logits

    assert found(Logits(), noise(3, 32, 32)) == []


def test_a_join_inside_the_network_is_none_in_an_output():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(11, 4, 1)

        def forward(self, x):
            return self.last(torch.cat([x, self.first(x)], 1))

    torch.manual_seed(0)
    assert found(Dense(), noise(3, 8, 8)) == []


def test_ranges_of_what_a_network_shrinks_to_nothing_are_not_judged():
    torch.manual_seed(0)
    layers = [layer for _ in range(4) for layer in (nn.Conv2d(16, 16, 1), nn.SiLU())]
    network = nn.Sequential(nn.Conv2d(3, 16, 1), *layers)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 1e-5
        # Some channel is always the widest; here by far.
        network[0].weight[3] *= 100
    samples = noise(3, 8, 8)
    killers = [f.killer for f in find_killers(observe(network, samples[0], samples))]
    assert killers == ["channel-weights", "constant-output"]
