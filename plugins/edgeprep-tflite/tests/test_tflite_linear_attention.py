"""Attention over patches as MobileViT V2 has it: what is spread before a product, and folds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import fold, relu, unfold

from edgeprep.conversion.source import NetworkSource
from edgeprep_tflite import TFLiteExporter
from edgeprep_tflite._engine import InterpreterRunner
from edgeprep_tflite._expansions import Unexpanded
from edgeprep_tflite._folds import FoldsMoved


class Attention(nn.Module):
    """Of the patches of 2 × 2 pixels, each with one context for all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 7, 1), nn.Conv2d(3, 3, 1)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        patches = unfold(preprocessed, (2, 2), stride=(2, 2))
        query, key, value = self.first(patches.reshape(-1, 3, 4, patches.shape[-1])).split(
            [1, 3, 3], dim=1
        )
        context = (key * query.softmax(-1)).sum(-1, keepdim=True)
        spread = self.last(relu(value) * context.expand_as(value))
        return fold(spread.flatten(1, 2), preprocessed.shape[-2:], (2, 2), stride=(2, 2))


def test_attention_of_patches_is_the_same_in_tflite(
    make_source: Callable[..., NetworkSource],
) -> None:
    torch.manual_seed(0)
    source = make_source(Attention().eval())
    content = TFLiteExporter().export(source, "fp32").files["model.tflite"]
    (expected,) = source.run(source.calibration[2:3])
    (found,) = InterpreterRunner(content, threads=1).run((source.calibration[2:3],))
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    "combine",
    [
        lambda one, other: one * other,
        lambda one, other: other - one,
        lambda one, other: one / other,
        lambda one, other: torch.add(one, other),
    ],
)
@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 3, 4), (3, 4), (1, 1)])
def test_what_was_spread_counts_as_it_was(
    combine: Callable[..., torch.Tensor], shape: tuple[int, ...]
) -> None:
    random = torch.Generator().manual_seed(0)
    column, other = torch.rand(2, 3, 1, generator=random), torch.rand(shape, generator=random) + 1
    expected = combine(column.expand(2, 3, 4), other)
    with Unexpanded():
        found = combine(column.expand(2, 3, 4), other)
    assert torch.equal(found, expected)


def test_two_spread_operands_keep_the_shape() -> None:
    with Unexpanded():
        both = torch.ones(2, 1).expand(2, 3) + torch.ones(1, 1).expand(2, 3)
    assert both.tolist() == [[2, 2, 2], [2, 2, 2]]


@pytest.mark.parametrize(
    ("shape", "size", "kernel", "options"),
    [
        ((2, 18, 8), (4, 12), (2, 3), {"stride": (2, 3)}),
        ((12, 6), (4, 6), 2, {"stride": 2}),
        ((1, 12, 15), (4, 6), 2, {}),
        ((1, 12, 12), (4, 6), 2, {"stride": 2, "padding": 1}),
    ],
)
def test_folds_are_those_of_torch(shape, size, kernel, options) -> None:  # type: ignore[no-untyped-def]
    patches = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    expected = fold(patches, size, kernel, **options)
    with FoldsMoved():
        found = fold(patches, size, kernel, **options)
    assert torch.equal(found, expected)
