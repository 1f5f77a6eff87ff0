"""Descriptions that do not fit a network, and what cannot be described."""

import json

import msgspec
import pytest
import torch
from torch import nn

from edgeprep.compress.shapes import Shapes, describe, rebuild
from edgeprep.errors import CheckpointError


class Counting(nn.Module):
    def __init__(self, **numbers: object) -> None:
        super().__init__()
        for name, value in numbers.items():
            setattr(self, name, value)

    @property
    def fixed(self) -> int:
        return 3


def with_number(name: str, value: object) -> Shapes:
    shapes = msgspec.to_builtins(describe(Counting(heads=2, sizes=(1, 2))))
    shapes["modules"][""]["numbers"][name] = value
    return msgspec.convert(json.loads(json.dumps(shapes)), Shapes)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("heads", [2, 2], "modules.heads: must stay 2, got (2, 2)"),
        ("sizes", 3, "modules.sizes: must stay (1, 2), got 3"),
        ("training", 1, "modules.training: must stay True, got 1"),
        ("forward", 1, "modules.forward: must stay None, got 1"),
        ("fixed", 1, "modules.fixed: must stay None, got 1"),
        ("_modules", 1, "modules._modules: must stay {}, got 1"),
        ("_new", 1, "modules._new: must stay None, got 1"),
    ],
)
def test_a_number_for_what_is_none_is_refused(name, value, message):
    network = Counting(heads=2, sizes=(1, 2))
    with pytest.raises(CheckpointError, match="must stay") as caught:
        rebuild(network, with_number(name, value), {})
    assert str(caught.value) == message


def test_a_number_that_is_not_described_is_refused():
    with pytest.raises(CheckpointError, match="described") as caught:
        rebuild(Counting(heads=2), describe(Counting()), {})
    assert str(caught.value) == "modules.heads: must be described, got nothing"


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (
            nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)),
            "modules: must be those of the network, got unexpected: 1",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 2, 1)),
            "modules.0: must be a Linear, got 'Conv2d'",
        ),
        (
            nn.Sequential(nn.Linear(3, 2, bias=False)),
            "state: must be those of the network, got missing: 0.bias",
        ),
        (
            nn.Sequential(nn.Linear(3, 2)).double(),
            "state.0.weight: must be torch.float32, got torch.float64",
        ),
    ],
    ids=["more modules", "another class", "no bias", "another type"],
)
def test_a_network_of_another_build_is_refused_and_nothing_is_changed(saved, message):
    network = nn.Sequential(nn.Linear(5, 4))
    before = describe(network)
    with pytest.raises(CheckpointError, match="must be") as caught:
        rebuild(network, describe(saved), saved.state_dict())
    assert str(caught.value) == message
    assert describe(network) == before


def test_names_are_counted_where_there_are_many():
    saved = nn.Sequential(*(nn.ReLU() for _ in range(9)))
    with pytest.raises(CheckpointError, match="those of the network") as caught:
        rebuild(nn.Sequential(), describe(saved), {})
    assert str(caught.value) == (
        "modules: must be those of the network, got unexpected: 0, 1, 2, 3, 4 and 4 more"
    )


def test_tensors_of_other_shapes_than_described_are_refused():
    network = nn.Sequential(nn.Linear(3, 2))
    state = network.state_dict() | {"0.bias": torch.zeros(3)}
    with pytest.raises(CheckpointError, match="must have shape") as caught:
        rebuild(network, describe(network), state)
    assert str(caught.value) == "state.0.bias: must have shape (2,), got (3,)"


class Extra(nn.Module):
    def get_extra_state(self) -> str:
        return "anything"


def test_a_state_that_is_no_tensor_is_refused():
    with pytest.raises(CheckpointError, match="must be a tensor") as caught:
        describe(Extra())
    assert str(caught.value) == "state._extra_state: must be a tensor, got 'str'"
