"""Modules by the operators that engines name."""

import pytest
import torch
from torch import nn

from edgeprep.conversion.named_operators import modules_named_in


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.LayerNorm(4)
        self.gate = nn.Hardswish()
        self.ratio = Ratio()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(self.ratio(self.gate(self.norm(self.convolution(x)))))


class Ratio(nn.Module):
    def forward(self, x):
        return x / (1 + x.abs().sum(-1, keepdim=True))


@pytest.mark.parametrize(
    ("message", "modules"),
    [
        ("Node number 7 (DIV) failed to prepare.", ("ratio",)),
        ("Could not find an implementation for Div(14) node with name 'node_div_3'", ("ratio",)),
        ("Type 'tensor(uint8)' of input of operator (HardSwish) is invalid", ("gate",)),
        ("LayerNormalization has no int8 kernel", ("norm",)),
        ("CONV_2D: per-channel is not supported", ("convolution",)),
        ("FULLY_CONNECTED is not supported", ("linear",)),
        ("out of memory", ()),
        ("ADD and MUL", ("ratio",)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_operator_is_found_by_the_name_that_an_engine_gives_it(message, modules):
    assert modules_named_in(message, Block().eval(), torch.zeros(1, 3, 4, 4)) == modules


def test_what_runs_in_the_networks_own_forward_has_no_path_to_be_kept_by():
    assert modules_named_in("DIV", Ratio().eval(), torch.ones(1, 4)) == ()
