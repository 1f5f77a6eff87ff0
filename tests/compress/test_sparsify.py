"""Weights that are 0, and stay 0."""

import copy

import pytest
import torch
from torch import nn

from edgeprep.compress.shapes import load_compressed, save_compressed
from edgeprep.compress.sparsify import Sparsify
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.registry import Registry
from edgeprep.schema import build

IMAGE = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=16),
        nn.Conv2d(16, 8, 1),
        nn.ConvTranspose2d(8, 12, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    ).eval()


def zeros(layer: nn.Module) -> float:
    return float((layer.weight == 0).float().mean())


def test_each_layer_loses_its_share_of_the_smallest_weights(workbench):
    dense = network()
    bench = workbench(dense)
    sparse = Sparsify(ratio=0.75).apply(copy.deepcopy(dense), bench)
    for index in (0, 2, 3, 4, 7):
        before, after = dense[index].weight, sparse[index].weight
        gone = after == 0
        assert gone.sum() == round(0.75 * before.numel())
        assert torch.equal(after[~gone], before[~gone])
        assert before[gone].abs().max() < before[~gone].abs().min()
        assert torch.equal(sparse[index].bias, dense[index].bias)
    assert bench.told == [("sparsify", "75.0% of 1124 weights are 0 in 5 of 5 layers")]


def test_global_scope_takes_the_smallest_weights_of_all_layers(workbench):
    dense = network()
    dense[4].weight.data *= 0.5
    sparse = Sparsify(ratio=0.5, scope="global", keep=("0",)).apply(
        copy.deepcopy(dense), workbench(dense)
    )
    dense_weights = torch.cat([dense[i].weight.flatten().abs() for i in (2, 3, 4, 7)])
    gone = torch.cat([sparse[i].weight.flatten() for i in (2, 3, 4, 7)]) == 0
    assert gone.sum() == len(gone) // 2
    assert dense_weights[gone].max() < dense_weights[~gone].min()
    assert zeros(sparse[4]) > 0.6 > zeros(sparse[2])
    assert zeros(sparse[0]) == 0


def test_two_of_four_along_the_input_channels(workbench):
    dense = nn.Sequential(nn.Conv2d(4, 1, 1), nn.ConvTranspose2d(4, 1, 1), nn.Linear(8, 1))
    dense[0].weight.data = torch.tensor([1.0, -4, 3, 2]).reshape(1, 4, 1, 1)
    dense[1].weight.data = torch.tensor([1.0, -4, 3, 2]).reshape(4, 1, 1, 1)
    dense[2].weight.data = torch.tensor([[5.0, 5, 5, 5, 1, 2, -3, -4]])
    sparse = Sparsify(n=2, m=4).apply(copy.deepcopy(dense), workbench(network()))
    assert sparse[0].weight.flatten().tolist() == [0, -4, 3, 0]
    assert sparse[1].weight.flatten().tolist() == [0, -4, 3, 0]
    # Of equal values the first ones stay.
    assert sparse[2].weight.flatten().tolist() == [5, 5, 0, 0, 0, 0, -3, -4]


def test_blocks_of_transposed_convolutions_stay_inside_groups(workbench):
    dense = nn.Sequential(
        nn.ConvTranspose2d(8, 8, 2, groups=8), nn.ConvTranspose2d(8, 2, 1, groups=2)
    )
    dense[1].weight.data = torch.tensor([1.0, -4, 3, 2, 8, 7, 6, 5]).reshape(8, 1, 1, 1)
    bench = workbench(network())
    sparse = Sparsify(n=2, m=4).apply(copy.deepcopy(dense), bench)
    assert torch.equal(sparse[0].weight, dense[0].weight)
    assert sparse[1].weight.flatten().tolist() == [0, -4, 3, 0, 8, 7, 0, 0]
    assert bench.told == [
        (
            "sparsify",
            (
                "10.0% of 40 weights are 0 in 1 of 2 layers; '0' stays: "
                "input channels that each filter reads are no multiple of 4"
            ),
        )
    ]


def test_layers_that_no_block_fits_stay_and_are_named(workbench):
    bench = workbench(network())
    sparse = Sparsify(n=1, m=4).apply(network(), bench)
    assert [zeros(sparse[index]) for index in (0, 2, 3, 4, 7)] == [0, 0, 0.75, 0.75, 0.75]
    assert bench.told == [
        (
            "sparsify",
            (
                "36.6% of 1124 weights are 0 in 3 of 5 layers; '0', '2' stay: "
                "input channels that each filter reads are no multiple of 4"
            ),
        )
    ]


def test_zeros_stay_zeros_while_the_rest_learns(workbench, tmp_path):
    dense = network()
    bench = workbench(dense)
    at_once = Sparsify(ratio=0.5).apply(copy.deepcopy(dense), bench)
    sparse = Sparsify(ratio=0.5, epochs=2).apply(copy.deepcopy(dense), bench)
    assert bench.trained == [("sparse", 2)]
    for index in (0, 2, 3, 4, 7):
        assert torch.equal(sparse[index].weight == 0, at_once[index].weight == 0)
        assert not torch.equal(sparse[index].weight, at_once[index].weight)
        assert type(sparse[index]) is type(dense[index])
    save_compressed(sparse, tmp_path / "sparse.safetensors")
    again = load_compressed(network(), tmp_path / "sparse.safetensors")
    assert torch.equal(again(IMAGE), sparse(IMAGE))


def test_recipes_find_it_by_its_name():
    assert Registry(installed=False).get("pass", "sparsify") is Sparsify


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "compress[0]: must have either 'ratio', or 'n' and 'm', got none"),
        ({"n": 2}, "compress[0]: must have either 'ratio', or 'n' and 'm', got 'n'"),
        (
            {"ratio": 0.5, "n": 2, "m": 4},
            "compress[0]: must have either 'ratio', or 'n' and 'm', got 'ratio' and 'n' and 'm'",
        ),
        ({"n": 4, "m": 4}, "compress[0].n: must be below m, which is 4, got 4"),
        ({"ratio": 1.0}, "compress[0].ratio: must be above 0 and below 1, got 1.0"),
        ({"ratio": 0}, "compress[0].ratio: must be above 0 and below 1, got 0"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused(table, message):
    with pytest.raises(RecipeError, match="must") as caught:
        build(Sparsify, table, "compress[0]")
    assert str(caught.value) == message


def test_a_ratio_that_empties_a_layer_is_refused(workbench):
    dense = network()
    dense[7].weight.data *= 1e-6
    with pytest.raises(RecipeError, match="leave every layer") as caught:
        Sparsify(ratio=0.5, scope="global").apply(copy.deepcopy(dense), workbench(dense))
    assert str(caught.value) == (
        "sparsify.ratio: must leave every layer a weight, got 0.5, which leaves none of 36 in '7'; "
        "keep it"
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            Sparsify(n=2, m=4),
            (
                "input channels that each filter reads are no multiple of 4; take another m, or "
                "ratio"
            ),
        ),
        (Sparsify(ratio=0.5, keep=("*",)), "keep says so; keep less"),
    ],
)
def test_a_network_in_which_no_layer_can_be_sparse_is_refused(workbench, settings, reason):
    dense = nn.Sequential(nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ConvertError, match="layers that can be") as caught:
        settings.apply(dense, workbench(network()))
    assert str(caught.value) == (
        f"sparsify: must find layers that can be sparse, got 0 of 1 layers; '0' stays: {reason}"
    )


def test_a_pattern_that_matches_nothing_is_refused(workbench):
    with pytest.raises(RecipeError, match="must match") as caught:
        Sparsify(ratio=0.5, keep=("conv",)).apply(network(), workbench(network()))
    assert str(caught.value) == (
        "sparsify.keep[0]: must match a module of the network, got 'conv'; "
        "known here: '0', '1', '2', '3', '4', '5', '6', '7'"
    )
