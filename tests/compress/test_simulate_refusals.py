"""Networks that cannot be simulated in int8, and why."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgeprep.compress.simulate import collect_ranges, simulated
from edgeprep.errors import ConvertError, RecipeError


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def fault(network: nn.Module, *inputs: Tensor) -> str:
    with pytest.raises((ConvertError, RecipeError), match=r".") as raised:
        collect_ranges(network.eval(), inputs)
    return str(raised.value)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


def test_a_network_with_nothing_to_quantize_is_refused():
    assert fault(Function(lambda x: torch.exp(x.reshape(-1))), noise(2, 3)) == (
        "simulated int8: the network must compute something that can be quantized, got ['exp']; "
        "what torch.jit has compiled cannot be seen"
    )


# torch says of TorchScript that it will go.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_compiled_network_is_refused():
    compiled = torch.jit.trace(nn.Linear(3, 3).eval(), noise(2, 3))
    assert fault(compiled, noise(2, 3)) == (
        "simulated int8: the network must compute something that can be quantized, got []; "
        "what torch.jit has compiled cannot be seen"
    )


def test_nan_is_refused_where_it_comes_up():
    network = nn.Sequential(
        nn.Linear(3, 3), Function(lambda x: (-1 - x.abs()).log()), nn.Linear(3, 3)
    )
    assert fault(network, noise(2, 3)) == (
        "simulated int8: every value must be a number, got NaN at operator 'linear' of '2'; "
        "see that the samples and weights are right"
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
def test_other_inputs_than_float32_are_refused(dtype):
    assert fault(nn.Linear(3, 3), torch.zeros(2, 3, dtype=dtype)) == (
        f"simulated int8: inputs must be float32, got {str(dtype).removeprefix('torch.')}"
    )


def test_inputs_of_another_shape_are_refused_with_what_torch_says():
    assert fault(nn.Linear(3, 3), noise(2, 4)) == (
        "simulated int8: the network must take float32 (2, 4), got RuntimeError: mat1 and mat2 "
        "shapes cannot be multiplied (2x4 and 3x3)"
    )


def test_a_network_that_returns_no_tensors_is_refused():
    assert fault(Function(lambda x: str(x + x)), noise(2, 3)) == (
        "model.factory: the network must return a tensor, or a sequence or mapping of tensors, "
        "got 'str'"
    )


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.small(x) if float(x.detach().abs().max()) < 1 else self.large(x)


def test_control_flow_that_samples_show_is_refused():
    assert fault(Branching(), torch.full((1, 3), 0.5), torch.full((1, 3), 5.0)) == (
        "simulated int8: the network must compute the same operators for every input, got operator "
        "'linear' of 'large' for some alone; engines run one fixed graph"
    )


def test_control_flow_that_comes_up_later_is_refused():
    network = Branching().eval()
    found = collect_ranges(network, [torch.full((1, 3), 0.5)])
    message = (
        r"^simulated int8: the network must compute the same operators for every input, got "
        r"operator 'linear' of 'large', which had not been computed before; engines run one fixed "
        r"graph$"
    )
    with simulated(network, found), pytest.raises(ConvertError, match=message):
        network(torch.full((1, 3), 5.0))
    assert not network._forward_pre_hooks
