import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeprep.compress.sensitivity import confirm, measure, rank_layers
from edgeprep.compress.watch import Place
from edgeprep.errors import ConvertError
from edgeprep.interfaces import Quantization
from edgeprep.ranges import Histogram, choose_range


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread takes longer to wake than these networks to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def samples(count: int = 12, size: int = 8, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return random.standard_normal((count, 3, size, size)).astype(np.float32)


def sequence(*more: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)).eval()


def make_hostile(first: nn.Module, second: nn.Module, spread: float = 1e3) -> None:
    """Scale what `first` gives by channel, and undo it in `second`: in float all stays the same."""
    channels = len(first.weight)
    scales = torch.logspace(0, math.log10(spread), channels)
    others = [1] * (first.weight.dim() - 1)
    with torch.no_grad():
        first.weight *= scales.reshape(-1, *others)
        first.bias *= scales
        second.weight /= scales.reshape(1, -1, *[1] * (second.weight.dim() - 2))


class Residual(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(3)))
        self.head = nn.Linear(channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Attention(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.layers = nn.Sequential(*(Transformer(width) for _ in range(2)))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Transformer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        x = x + self.attention(y, y, y)[0]
        return x + self.narrow(torch.relu(self.wide(x)))


def test_the_layer_with_hostile_channels_comes_first():
    network = sequence()
    expected = network(torch.from_numpy(samples())).detach()
    make_hostile(network[2], network[4])
    assert torch.allclose(network(torch.from_numpy(samples())), expected, atol=1e-4)
    first, second, *others = rank_layers(network, samples())
    # What lies between them is stored in one range: who gives and who reads it lose alike.
    assert {first.path, second.path} == {"2", "4"}
    assert max(first.snr_db, second.snr_db) < 20 < min(other.snr_db for other in others)


def test_in_a_residual_network_it_comes_first():
    torch.manual_seed(0)
    network = Residual().eval()
    make_hostile(network.blocks[1].first, network.blocks[1].second, 1e4)
    ranking = [cost.path for cost in rank_layers(network, samples())]
    assert set(ranking[:2]) == {"blocks.1.first", "blocks.1.second"}


def test_among_attention_it_comes_first():
    torch.manual_seed(0)
    network = Attention().eval()
    make_hostile(network.layers[1].wide, network.layers[1].narrow, 1e4)
    ranking = [cost.path for cost in rank_layers(network, samples())]
    assert set(ranking[:2]) == {"layers.1.wide", "layers.1.narrow"}


def test_attention_with_huge_scores_comes_first():
    torch.manual_seed(0)
    network = Attention().eval()
    with torch.no_grad():
        # The values of one head are small beside those of the other, in one tensor.
        attention = network.layers[0].attention
        attention.in_proj_weight[16:20] *= 1e4
        attention.out_proj.weight[:, :4] /= 1e4
    assert rank_layers(network, samples())[0].path == "layers.0.attention"


def test_a_cost_says_what_the_layer_is():
    torch.manual_seed(0)
    costs = {cost.path: cost for cost in rank_layers(Residual().eval(), samples())}
    assert set(costs) == {
        "stem",
        "head",
        *(f"blocks.{index}" for index in range(3)),
        *(f"blocks.{index}.{name}" for index in range(3) for name in ("first", "second")),
    }
    macs = {"stem": 216 * 36, "block": 576 * 36, "head": 32}
    whole = macs["stem"] + 6 * macs["block"] + macs["head"]
    assert costs["stem"].kinds == ("convolution",)
    assert costs["stem"].parameters == 216
    assert costs["stem"].macs == pytest.approx(macs["stem"] / whole)
    assert costs["blocks.0.first"].macs == pytest.approx(macs["block"] / whole)
    assert costs["head"].parameters == 32
    assert costs["blocks.1"].kinds == ("arithmetic",)
    assert costs["blocks.1"].inside == 2
    assert costs["blocks.1"].parameters == 0


def test_noise_of_a_single_layer_is_the_same_at_its_own_output_and_that_of_the_network():
    network = nn.Sequential(nn.Linear(6, 4)).eval()
    (cost,) = rank_layers(network, np.random.default_rng(0).standard_normal((9, 6), np.float32))
    assert cost.snr_db == pytest.approx(cost.own_snr_db)
    assert 30 < cost.snr_db < 60


def test_signal_to_noise_is_what_it_is_said_to_be():
    network, x = nn.Sequential(nn.Linear(3, 2, bias=False)).eval(), np.eye(3, dtype=np.float32)
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[127.0, 0.0, 0.25], [0.0, 127.0, 0.0]]))
    # The inputs, 0 and 1, are on their grid; 0.25 is the only weight that is not.
    (cost,) = rank_layers(network, x)
    signal = 127**2 + 127**2 + 0.25**2
    assert cost.snr_db == pytest.approx(10 * math.log10(signal / 0.25**2), rel=1e-4)


def test_no_noise_is_infinite():
    network = nn.Sequential(nn.Linear(3, 3, bias=False)).eval()
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(3))
    (cost,) = rank_layers(network, np.eye(3, dtype=np.float32))
    assert cost.snr_db == math.inf


class Boxes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.boxes, self.scores = nn.Linear(6, 4), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"boxes": self.boxes(x) * 1000, "scores": self.scores(x)}


def test_of_several_outputs_the_one_that_loses_most_counts():
    torch.manual_seed(0)
    network = Boxes().eval()
    with torch.no_grad():
        network.scores.weight[0] *= 1e-3
        network.scores.weight[1, 0] = 30.0
    inputs = np.random.default_rng(0).standard_normal((9, 6), np.float32)
    inputs[:, 1:] *= 1e-3  # rounded away beside the first one
    costs = {cost.path: cost.snr_db for cost in rank_layers(network, inputs)}
    assert set(costs) == {"boxes", "scores"}
    assert all(snr < 60 for snr in costs.values())


class Tiled(nn.Module):
    """Takes four tiles of a picture at once, and gives one answer for them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        tiles = self.conv(x).mean((2, 3))
        return self.head(tiles.reshape(4, 4).amax(0, keepdim=True))


def test_pictures_of_which_several_are_one_sample_stay_together():
    torch.manual_seed(0)
    found = measure(Tiled().eval(), samples(12), rows=4)
    assert found.samples == 3
    assert [len(batch) for batch in found.batches] == [4, 4, 4]


def test_samples_are_run_together_where_that_is_the_same():
    found = measure(sequence(), samples(40), samples=20)
    assert [len(batch) for batch in found.batches] == [16, 4]


@pytest.mark.parametrize(("width", "count"), [(8, 32), (250, 18), (2000, 4)])
def test_a_large_network_is_ranked_on_fewer_samples(width, count, monkeypatch):
    network = nn.Sequential(nn.Linear(8, width), nn.Linear(width, 8)).eval()
    # Two layers of 8 × width multiplications each.
    monkeypatch.setattr("edgeprep.compress.sensitivity._MACS", 2 * 2 * 8 * 250 * 18)
    inputs = np.random.default_rng(0).standard_normal((40, 8), np.float32)
    assert measure(network, inputs).samples == count
    assert measure(network, inputs, samples=9).samples == 9


def test_ranges_are_of_all_samples_and_not_of_those_alone_that_are_run():
    inputs = samples(9)
    inputs[1] *= 100  # neither the first, the middle one, nor the last
    found = measure(sequence(), inputs, samples=3)
    (place,) = (place for place in found.ranges.limits if place.operator == "input")
    assert found.ranges.limits[place] == (float(inputs.min()), float(inputs.max()))


def test_the_fewest_layers_that_help_are_found():
    network = sequence()
    make_hostile(network[2], network[4])
    found = measure(network, samples())
    kept = found.fewest(30.0)
    assert kept is not None
    assert set(kept) == {"2", "4"}
    assert found.snr_db(kept) >= 30 > max(found.snr_db(), found.snr_db(["2"]), found.snr_db(["4"]))


def test_no_layer_is_kept_where_none_needs_to_be():
    assert measure(sequence(), samples()).fewest(10.0) == ()


def test_no_choice_is_given_where_none_is_enough():
    assert measure(sequence(), samples()).fewest(99.0) is None


def test_what_is_kept_anyway_is_not_proposed_again():
    network = sequence()
    make_hostile(network[2], network[4])
    found = measure(network, samples())
    assert found.fewest(30.0, always=("2",)) == ("4",)
    assert "2" not in found.candidates(("2",))


def test_a_layer_stands_for_all_that_is_inside_it():
    torch.manual_seed(0)
    found = measure(Residual().eval(), samples())
    assert {"blocks.1", "blocks.1.first"}.isdisjoint(found.candidates(("blocks.1",)))
    assert "blocks.10" not in found.candidates(("blocks.1",))
    assert found.snr_db(("blocks",)) == found.snr_db(
        [path for path in found.candidates() if path.startswith("blocks")]
    )


def test_the_worst_layers_are_confirmed_with_the_metric():
    network = sequence()
    make_hostile(network[2], network[4])
    inputs = torch.from_numpy(samples(64, seed=1))
    with torch.no_grad():
        expected = network(inputs).argmax(1)

    def drop() -> float:
        with torch.no_grad():
            return 1 - float((network(inputs).argmax(1) == expected).float().mean())

    found = measure(network, samples(), policy=Quantization(weight_range="full"))
    confirmed = confirm(found, drop, 3)
    assert [layer.path for layer in confirmed] == [layer.path for layer in found.layers]
    worst, _, third, *others = (layer.drop for layer in confirmed)
    assert worst is not None
    assert third is not None
    assert worst > 0.03 > third
    assert others == [None]
    assert drop() == 0.0


def test_no_samples_are_refused():
    message = r"^simulated int8: samples are needed to measure with, got 0$"
    with pytest.raises(ConvertError, match=message):
        rank_layers(sequence(), samples(0))


def test_a_network_that_gives_zeros_is_refused():
    network = sequence()
    with torch.no_grad():
        network[-1].weight.zero_()
        network[-1].bias.zero_()
    message = r"^sensitivity: outputs must differ from zero, got zeros for all samples$"
    with pytest.raises(ConvertError, match=message):
        rank_layers(network, samples())


def test_weights_are_as_inexact_as_the_policy_allows():
    network = sequence()
    found = {
        weight_range: measure(network, samples(), policy=Quantization(weight_range=weight_range))
        for weight_range in ("full", "reduced", "auto")
    }
    snr_db = {weight_range: one.snr_db() for weight_range, one in found.items()}
    assert snr_db["full"] > snr_db["reduced"] + 1
    assert snr_db["auto"] == snr_db["reduced"]


def test_ranges_are_those_of_the_policys_calibrator():
    network, inputs = nn.Sequential(nn.Linear(8, 8)).eval(), samples()
    policy = Quantization(calibrator="percentile", percentile=90.0)
    limits = measure(network, inputs, policy=policy).ranges.limits
    counted = Histogram()
    counted.add(inputs)
    assert limits[Place("", "input", 0)] == choose_range(counted, policy)
    widest = measure(network, inputs).ranges.limits[Place("", "input", 0)]
    assert widest == (inputs.min(), inputs.max())
