"""New heads, and the weights to start from."""

import pytest
import safetensors.torch
import torch

from edgeprep.errors import CheckpointError, RecipeError
from edgeprep.recipe import HeadTable, ModelTable
from edgeprep.train.head import replace_head
from edgeprep.train.network import load_network, start_network

FACTORY = """
import torch


def build():
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 10))
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "model.py").write_text(FACTORY)
    return tmp_path


def model(classes=None, weights=None):
    head = None if classes is None else HeadTable(module="1", classes=classes)
    return ModelTable(factory="model:build", head=head, weights=weights)


def network_with(layer):
    return torch.nn.ModuleDict({"body": torch.nn.ReLU(), "top": torch.nn.Sequential(layer)})


def test_a_linear_head_keeps_what_arrives_and_its_lack_of_a_bias():
    network = network_with(torch.nn.Linear(6, 10, bias=False))
    replace_head(network, HeadTable(module="top.0", classes=3))
    assert (network["top"][0].weight.shape, network["top"][0].bias) == ((3, 6), None)


def test_a_convolution_keeps_all_but_its_channels():
    network = network_with(torch.nn.Conv2d(6, 10, (1, 3), padding=(0, 1), stride=2, groups=2))
    replace_head(network, HeadTable(module="top.0", classes=4))
    replaced = network["top"][0]
    assert replaced.weight.shape == (4, 3, 1, 3)
    assert (replaced.padding, replaced.stride, replaced.groups) == ((0, 1), (2, 2), 2)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            {"module": "topp", "classes": 3},
            "model.head.module: must be a module of the network, got 'topp'; did you mean 'top'?",
        ),
        (
            {"module": "top", "classes": 3},
            (
                "model.head.module: must be a Linear or Conv layer, got 'Sequential' at 'top'; "
                "inside it is 'top.0'"
            ),
        ),
        (
            {"module": "body", "classes": 3},
            "model.head.module: must be a Linear or Conv layer, got 'ReLU' at 'body'",
        ),
        (
            {"module": "top.0", "classes": 3},
            "model.head.classes: must be a multiple of the 2 groups of 'top.0', got 3",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_refused(head, message):
    network = network_with(torch.nn.Conv2d(6, 10, 1, groups=2))
    with pytest.raises(RecipeError, match=r"^model\.head") as fault:
        replace_head(network, HeadTable(**head))
    assert str(fault.value) == message


def test_weights_of_the_old_head_start_a_network_with_a_new_one(directory):
    old = load_network(model(), directory).state_dict()
    safetensors.torch.save_file(old, directory / "old.safetensors")
    network = start_network(model(3), "old.safetensors", directory, seed=0)
    assert torch.equal(network[0].weight, old["0.weight"])
    assert network[1].weight.shape == (3, 4)


def test_weights_of_the_new_head_start_a_network_with_it(directory):
    learned = load_network(model(3), directory).state_dict()
    safetensors.torch.save_file(learned, directory / "new.safetensors")
    network = start_network(model(3), "new.safetensors", directory, seed=0)
    assert torch.equal(network[1].weight, learned["1.weight"])


def test_a_network_with_a_new_head_is_loaded_with_the_weights_that_it_learned(directory):
    learned = start_network(model(3), None, directory, seed=1).state_dict()
    safetensors.torch.save_file(learned, directory / "new.safetensors")
    network = load_network(model(3, "new.safetensors"), directory)
    assert torch.equal(network[1].weight, learned["1.weight"])


def test_the_seed_decides_what_the_factory_draws_and_nothing_else_changes(directory):
    before = torch.get_rng_state()
    one, same, other = (start_network(model(3), None, directory, seed=s) for s in (1, 1, 2))
    assert torch.equal(one[1].weight, same[1].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_training_makes_are_not_what_it_starts_from(directory):
    network = start_network(model(weights="not-there.safetensors"), None, directory, seed=0)
    assert network[1].weight.shape == (10, 4)


def test_weights_to_start_from_that_fit_neither_head_are_refused(directory):
    safetensors.torch.save_file({"0.weight": torch.zeros(4, 2)}, directory / "part.safetensors")
    with pytest.raises(CheckpointError, match=r"^train\.weights") as fault:
        start_network(model(3), "part.safetensors", directory, seed=0)
    assert str(fault.value) == (
        "train.weights: 'part.safetensors' must fit the network, got keys missing: 0.bias, 1.bias, "
        "1.weight; load what this network was saved to, or have the factory make the one that it "
        "is of"
    )


def test_weights_of_other_classes_are_refused_with_what_helps(directory):
    learned = load_network(model(3), directory).state_dict()
    safetensors.torch.save_file(learned, directory / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"^train\.weights") as fault:
        start_network(model(), "other.safetensors", directory, seed=0)
    assert str(fault.value) == (
        "train.weights: 'other.safetensors' must fit the network, got keys of another shape: "
        "1.weight (3, 4) for (10, 4), 1.bias (3,) for (10,); load what this network was saved to, "
        "or have the factory make the one that it is of; for other classes, [model.head] makes the "
        "last layer anew"
    )
