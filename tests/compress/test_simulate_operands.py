"""Which of the tensors that operators read are put on grids, and on which ones."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeprep.compress.simulate import collect_ranges, simulated


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def on_grid(values: Tensor) -> Tensor:
    """As uint8 holds them, in float64: an independent reading of arXiv:1712.05877."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    held = np.clip(np.rint(values.double().numpy() / step) + zero, 0, 255)
    return torch.from_numpy((held - zero) * step)


def on_weight_grid(weights: Tensor, axis: int) -> Tensor:
    """As int8 holds them, one channel of `axis` after the other."""
    channels = []
    for channel in weights.detach().double().unbind(axis):
        step = channel.abs().max() / 127
        channels.append(torch.round(channel / step) * step)
    return torch.stack(channels, axis)


def int8(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad(), simulated(network, collect_ranges(network, [inputs])):
        output: Tensor = network(inputs)
    return output


class Product(nn.Module):
    def __init__(self, operator: str, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.operator = operator
        self.weight = nn.Parameter(weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        match self.operator:
            case "w @ x":
                return self.weight @ x
            case "x @ w":
                return x @ self.weight
            case "addmm, x @ w":
                return torch.addmm(self.bias, x, self.weight)
            case _:
                return torch.addmm(self.bias, self.weight, x)


# Rows and columns of very different sizes, so that every wrong axis shows.
LEFT = noise(4, 3, seed=1) * torch.tensor([[1.0], [9], [90], [700]])
RIGHT = noise(3, 4, seed=1) * torch.tensor([1.0, 9, 90, 700])


@pytest.mark.parametrize("operator", ["w @ x", "addmm, w @ x"])
def test_a_weight_on_the_left_has_a_scale_for_each_row(operator):
    x, bias = noise(3, 5), noise(5, seed=2) * 100
    added = bias.double() if "addmm" in operator else 0.0
    expected = on_weight_grid(LEFT, 0) @ on_grid(x) + added
    assert int8(Product(operator, LEFT, bias).eval(), x).numpy() == pytest.approx(
        expected.numpy(), rel=1e-5, abs=1e-4
    )


@pytest.mark.parametrize("operator", ["x @ w", "addmm, x @ w"])
def test_a_weight_on_the_right_has_a_scale_for_each_column(operator):
    x, bias = noise(5, 3), noise(4, seed=2) * 100
    added = bias.double() if "addmm" in operator else 0.0
    expected = on_grid(x) @ on_weight_grid(RIGHT, 1) + added
    assert int8(Product(operator, RIGHT, bias).eval(), x).numpy() == pytest.approx(
        expected.numpy(), rel=1e-5, abs=1e-4
    )


def test_slopes_stay_what_they_are():
    network, x = nn.PReLU(2).eval(), -noise(1, 2, 9).abs()
    slopes = torch.tensor([1.0, 0.0015])
    with torch.no_grad():
        network.weight.copy_(slopes)
    expected = on_grid(x) * slopes.double()[:, None]
    assert int8(network, x).numpy() == pytest.approx(expected.numpy(), rel=1e-5)


def test_what_a_product_adds_and_has_computed_is_on_the_grid():
    class Added(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.baddbmm(x, x, x)

    x = noise(2, 4, 4)
    stored = on_grid(x)
    assert int8(Added().eval(), x).numpy() == pytest.approx(
        (stored + stored @ stored).numpy(), abs=1e-5
    )


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions_have_a_scale_for_each_output_channel(groups, normalized):
    torch.manual_seed(0)
    conv, norm = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=groups), nn.BatchNorm2d(6)
    sizes = torch.tensor([1.0, 9, 90, 700, 30, 4])
    with torch.no_grad():
        conv.weight *= sizes[: 6 // groups, None, None]
        norm.running_var.copy_(noise(6, seed=2).abs() + 0.1)
        norm.running_mean.copy_(noise(6, seed=3))
        norm.weight.copy_(noise(6, seed=4))
    network = nn.Sequential(conv, norm) if normalized else nn.Sequential(conv)
    x = noise(2, 4, 3, 3)
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().double()
    weight = conv.weight.detach().double()
    # In groups, engines cannot fold it: axis 1 has a channel of each group at every place.
    folds = normalized and groups == 1
    on_its_grid = (
        on_weight_grid(weight * factor[:, None, None], 1) / factor[:, None, None]
        if folds
        else on_weight_grid(weight, 1)
    )
    expected = functional.conv_transpose2d(
        on_grid(x), on_its_grid, conv.bias.detach().double(), stride=2, groups=groups
    )
    if normalized:
        expected = functional.batch_norm(
            expected,
            norm.running_mean.double(),
            norm.running_var.double(),
            norm.weight.detach().double(),
            norm.bias.detach().double(),
            eps=norm.eps,
        )
    assert int8(network.eval(), x).numpy() == pytest.approx(
        expected.numpy(), rel=1e-4, abs=1e-4 * float(expected.abs().max())
    )
