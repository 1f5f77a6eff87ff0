"""Tensors without elements, which networks have where a configuration asks for no tokens, say."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Model, Runner
from edgeprep_openvino._empty import WithoutEmpty
from edgeprep_openvino._export import ROADS, export


class Registers(nn.Module):
    """Patches with tokens of which there are none in front, as DINOv3 has them by default."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.tokens = nn.Parameter(torch.empty(1, 0, 8))

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        patches = self.patches(preprocessed).flatten(2).transpose(1, 2)
        return torch.cat((self.tokens.expand(len(patches), -1, -1), patches), dim=1)


def test_a_network_with_no_tokens_is_traced_and_computes_what_torch_computes(
    make_source: Callable[..., NetworkSource], load: Callable[[Model], Runner]
) -> None:
    source = make_source(Registers().eval())
    runner = load(export(source, "fp32", {"torch": ROADS["torch"]}))
    (truth,) = source.run(source.calibration[:1])
    (answer,) = runner.run([source.calibration[:1]])
    assert np.abs(answer - truth).max() <= 1e-4 * np.abs(truth).max()


def test_what_is_joined_stays_and_keeps_its_order() -> None:
    one, two, none = torch.ones(1, 2), torch.zeros(3, 2), torch.empty(0, 2)
    with WithoutEmpty():
        assert torch.cat([none, two, none, one]).tolist() == [[0, 0]] * 3 + [[1, 1]]
        assert torch.cat(tensors=[one, none], dim=0).tolist() == [[1, 1]]


def test_nothing_joined_to_nothing_is_nothing() -> None:
    none = torch.empty(0, 2)
    with WithoutEmpty():
        assert torch.cat((none, none)).shape == (0, 2)
