from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeprep.compress.simulate import Ranges, collect_ranges, simulated
from edgeprep.errors import ConvertError


def on_grid(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """As uint8 holds them, in float64: an independent reading of arXiv:1712.05877."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    return (np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step


def on_weight_grid(weights: np.ndarray, levels: int = 127) -> np.ndarray:
    """As int8 holds them, one channel after the other."""
    channels = []
    for channel in weights:
        step = np.abs(channel).max() / levels
        channels.append(np.rint(channel / step) * step)
    return np.stack(channels)


def ranges_of(network: nn.Module, *inputs: Tensor) -> Ranges:
    return collect_ranges(network, inputs)


def int8(network: nn.Module, inputs: Tensor, **options: object) -> Tensor:
    with torch.no_grad(), simulated(network, ranges_of(network, inputs), **options):  # type: ignore[arg-type]
        output: Tensor = network(inputs)
    return output


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _torch() -> Iterator[None]:
    """The same weights every time; a second thread takes longer to wake than these networks run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def test_a_linear_layer_computes_with_weights_and_inputs_on_their_grids():
    network, x = nn.Linear(6, 4).eval(), noise(5, 6)
    weights, bias = (one.detach().double().numpy() for one in network.parameters())
    inputs = on_grid(x.double().numpy(), float(x.min()), float(x.max()))
    expected = inputs @ on_weight_grid(weights).T + bias
    # The output is the network's own, and stays off the grid. float32 adds in another order.
    assert int8(network, x).numpy() == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(expected, network(x).detach().numpy(), atol=1e-4)


def test_reduced_weights_have_63_steps_to_both_sides():
    network, x = nn.Linear(6, 4, bias=False).eval(), noise(5, 6)
    inputs = on_grid(x.double().numpy(), float(x.min()), float(x.max()))
    expected = inputs @ on_weight_grid(network.weight.detach().double().numpy(), 63).T
    assert int8(network, x, levels=63).numpy() == pytest.approx(expected, abs=1e-5)


class Folded(nn.Module):
    """A convolution with its batch norm and activation, and a layer that reads it."""

    def __init__(self, *, in_place: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=in_place)
        self.head = nn.Conv2d(4, 2, 1)
        with torch.no_grad():
            self.norm.running_mean.copy_(noise(4, seed=1))
            self.norm.running_var.copy_(noise(4, seed=2).abs() + 0.1)
            self.norm.weight.copy_(noise(4, seed=3) * 5)
            self.norm.bias.copy_(noise(4, seed=4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.norm(self.conv(x))))


@pytest.mark.parametrize("in_place", [False, True])
def test_a_batch_norm_is_folded_into_the_convolution_before_it(in_place):
    network, x = Folded(in_place=in_place).eval(), noise(2, 3, 6, 6)
    with torch.no_grad():
        middle = network.relu(network.norm(network.conv(x)))
    factor = (network.norm.weight / (network.norm.running_var + network.norm.eps).sqrt()).detach()
    folded = on_weight_grid((network.conv.weight.detach() * factor[:, None, None, None]).numpy())
    shift = (network.norm.bias - network.norm.running_mean * factor).detach()
    inputs = on_grid(x.double().numpy(), float(x.min()), float(x.max()))
    summed = functional.conv2d(
        torch.from_numpy(inputs), torch.from_numpy(folded).double(), shift.double()
    )
    stored = on_grid(summed.clamp_min(0).numpy(), 0.0, float(middle.max()))
    head = on_weight_grid(network.head.weight.detach().numpy())
    expected = functional.conv2d(
        torch.from_numpy(stored), torch.from_numpy(head).double(), network.head.bias.double()
    )
    assert int8(network, x).numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)
    assert ranges_of(network, x).layers == ("conv", "head")


def test_a_channel_that_its_batch_norm_takes_out_stays_out():
    network, x = Folded().eval(), noise(2, 3, 6, 6)
    with torch.no_grad():
        network.norm.weight[1] = 0.0
    assert torch.isfinite(int8(network, x)).all()


def test_a_batch_norm_stays_apart_where_the_convolution_is_read_twice():
    class Twice(Folded):
        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.head(self.norm(y) + y)

    network, x = Twice().eval(), noise(2, 3, 6, 6)
    assert ranges_of(network, x).layers == ("conv", "norm", "", "head")


class Functions(nn.Module):
    """Operators in functions and in the language, in modules of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.join, self.attend = Gate(), Join(), Attend()

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(self.join(self.gate(x)))


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Join(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x, x + 1.0], dim=-1)
        y += 0.5
        return y.relu()


class Attend(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x @ x.transpose(-2, -1), -1) @ x


def test_operators_in_functions_belong_to_the_module_that_calls_them():
    found = ranges_of(Functions().eval(), noise(2, 5, 4)).sites
    assert [(site.place.path, site.place.operator) for site in found] == [
        ("gate", "sigmoid"),
        ("gate", "mul"),
        ("join", "add"),
        ("join", "cat"),
        ("join", "add"),
        ("attend", "matmul"),
        ("attend", "softmax"),
        ("attend", "matmul"),
    ]


@pytest.mark.parametrize("layer", ["gate", "join", "attend"])
def test_each_of_them_can_be_quantized_alone(layer):
    network, x = Functions().eval(), noise(2, 5, 4)
    alone = int8(network, x, layers={layer})
    assert not torch.equal(alone, network(x))
    assert not torch.equal(alone, int8(network, x))


def attention(**options: object) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.scaled_dot_product_attention(x, x, x, **options)  # type: ignore[arg-type]


class Calling(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.first(x))


MASK = torch.ones(6, 6, dtype=torch.bool).tril()
WHOLE = {
    "attention": attention(),
    "attention, causal": attention(is_causal=True),
    "attention, scaled": attention(scale=0.3),
    "attention, masked": attention(attn_mask=MASK),
    "attention, biased": attention(attn_mask=MASK.float() - 1),
    "silu": functional.silu,
    "silu in place": lambda x: functional.silu(x * 2, inplace=True),
    "einsum": lambda x: torch.einsum("nij,nkj->nik", x, x),
    "baddbmm": lambda x: torch.baddbmm(x[..., :6], x, x.transpose(1, 2)),
    "1 - x": lambda x: 1 - x,
    "stacked": lambda x: torch.stack([x, x], 1),
    "chunks": lambda x: torch.cat(x.chunk(2, -1)[::-1], -1),
    "pooled": lambda x: functional.max_pool1d(x, 2),
    "interpolated": lambda x: functional.interpolate(x, scale_factor=2.0, mode="linear"),
    "normalized": lambda x: functional.layer_norm(x, (8,)),
    "converted": lambda x: (x > 0).float() * x,
}


@pytest.mark.parametrize("function", WHOLE.values(), ids=WHOLE)
def test_nothing_changes_where_no_layer_is_quantized(function):
    network, x = Calling(function).eval(), noise(2, 6, 8)
    expected = network(x)
    # What is computed in parts adds up in another order.
    assert int8(network, x, layers=()).numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("function", WHOLE.values(), ids=WHOLE)
def test_a_quantized_network_computes_nearly_the_same(function):
    network, x = Calling(function).eval(), noise(2, 6, 8)
    expected = network(x).detach()
    # 8 bits of the whole range in a few operators one after the other.
    assert float((int8(network, x) - expected).abs().max()) < 0.05 * float(expected.abs().max())


@pytest.mark.parametrize("need_weights", [False, True])
def test_what_is_inside_an_attention_layer_is_seen(need_weights):
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=need_weights)[0]

    network, x = Layer().eval(), noise(2, 5, 8)
    found = ranges_of(network, x)
    assert found.layers == ("attention",)
    operators = [site.place.operator for site in found.sites]
    assert operators.count("linear") == 2
    assert operators.count("softmax") == 1
    assert int8(network, x, layers=()).numpy() == pytest.approx(
        network(x).detach().numpy(), abs=1e-5
    )


def test_an_infinite_mask_is_left_in_float():
    network, x = Calling(attention(attn_mask=MASK)).eval(), noise(2, 6, 8)
    assert torch.isfinite(int8(network, x)).all()


def test_a_module_that_is_used_twice_is_one_layer_with_a_range_for_each_use():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.one(self.one(x) * 100))

    found = ranges_of(Shared().eval(), noise(3, 4))
    assert found.layers == ("one", "", "head")
    first, second = (
        found.limits[site.end] for site in found.sites if site.end and site.place.path == "one"
    )
    assert second[1] - second[0] > 10 * (first[1] - first[0])


def test_a_module_under_two_names_has_the_first_one():
    network = nn.Sequential(nn.Linear(4, 4), nn.Identity())
    network.add_module("again", network[0])
    assert ranges_of(network.eval(), noise(3, 4)).layers == ("0",)


def test_gradients_go_straight_through_the_rounding():
    network, x = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval(), noise(7, 6)
    found = ranges_of(network, x)
    expected = torch.autograd.grad(network(x).square().sum(), network.parameters())  # type: ignore[arg-type]
    with simulated(network, found):
        loss = network(x).square().sum()
    for gradient, one in zip(
        torch.autograd.grad(loss, network.parameters()),  # type: ignore[arg-type]
        expected,
        strict=True,
    ):
        # They are those of the rounded network, which is nearly the same.
        assert float((gradient - one).abs().max()) < 0.05 * float(one.abs().max())


def test_gradients_of_what_is_done_in_place_are_the_same():
    outcomes = []
    for in_place in (False, True):
        torch.manual_seed(0)
        network, x = Folded(in_place=in_place).eval(), noise(2, 3, 6, 6)
        with simulated(network, ranges_of(network, x)):
            outcomes.append(torch.autograd.grad(network(x).sum(), network.conv.weight)[0])
    assert torch.equal(*outcomes)


def test_the_network_is_left_as_it_was():
    network, x = Folded(in_place=True).eval(), noise(2, 3, 6, 6)
    before, state = network(x), {key: one.clone() for key, one in network.state_dict().items()}
    int8(network, x)
    assert torch.equal(network(x), before)
    assert all(torch.equal(one, state[key]) for key, one in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_tensors_that_are_replaced_are_the_ones_that_count():
    # As moving a network to another device replaces its buffers.
    network, x = Folded().eval(), noise(2, 3, 6, 6)
    found = ranges_of(network, x)
    with torch.no_grad(), simulated(network, found):
        network.norm.running_var = network.norm.running_var * torch.tensor([1.0, 7.0, 0.3, 2.0])
        inside = network(x)
    with torch.no_grad(), simulated(network, found):
        assert torch.equal(network(x), inside)


def test_other_pictures_of_another_size_can_be_simulated():
    network = Folded().eval()
    found = ranges_of(network, noise(4, 3, 6, 6))
    with torch.no_grad(), simulated(network, found):
        assert network(noise(1, 3, 9, 8)).shape == (1, 2, 7, 6)


def test_what_runs_outside_of_the_network_is_not_touched():
    network, x = nn.Linear(4, 4).eval(), noise(3, 4)
    with simulated(network, ranges_of(network, x)):
        inside = x @ x.T
    assert torch.equal(inside, x @ x.T)


def test_a_float_layer_reads_what_an_int8_layer_has_stored():
    # As engines do: one tensor, for whoever reads it.
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).eval()
    x = noise(3, 4)
    seen: list[Tensor] = []
    network[1].register_forward_pre_hook(lambda _module, taken: seen.append(taken[0]))
    int8(network, x, layers={"0"})
    middle = network[0](x).detach()
    low, high = float(middle.min()), float(middle.max())
    stored = seen[-1].double().numpy()
    assert stored == pytest.approx(on_grid(stored, low, high), abs=1e-6)


def test_a_layer_that_is_not_there_is_refused():
    network, x = Folded().eval(), noise(2, 3, 6, 6)
    message = (
        r"^simulated int8: layers must be paths of modules that compute something in integers, got "
        r"'hed'; did you mean 'head'\?$"
    )
    with (
        pytest.raises(ConvertError, match=message),
        simulated(network, ranges_of(network, x), layers={"hed"}),
    ):
        pass


def test_a_channel_of_zeros_stays_one():
    network, x = nn.Linear(4, 3, bias=False).eval(), noise(5, 4)
    with torch.no_grad():
        network.weight[1] = 0.0
    assert not int8(network, x)[:, 1].any()


def test_a_network_in_inference_mode_is_simulated_too():
    network, x = Folded(in_place=True).eval(), noise(2, 3, 6, 6)
    found = ranges_of(network, x)
    with torch.inference_mode(), simulated(network, found):
        inside = network(x)
    assert torch.equal(inside, int8(network, x))
