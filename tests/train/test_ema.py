"""The moving average of weights, by hand."""

import pytest
import torch

from edgeprep.train.ema import MovingAverage


def single(value):
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, value)
    return network


def test_an_average_forgets_quickly_at_first_and_slowly_later():
    network = single(0.0)
    average = MovingAverage(network, 0.5)
    torch.nn.init.constant_(network.weight, 1.0)
    average.update(network, 0)  # the past weighs 1/10
    assert average.weights["weight"].item() == pytest.approx(0.9)
    torch.nn.init.constant_(network.weight, 0.0)
    average.update(network, 1)  # 2/11
    assert average.weights["weight"].item() == pytest.approx(0.9 * 2 / 11)
    torch.nn.init.constant_(network.weight, 1.0)
    average.update(network, 1000)  # the decay itself
    assert average.weights["weight"].item() == pytest.approx(0.5 + 0.9 / 11)


def test_counters_are_not_averaged():
    network = torch.nn.BatchNorm1d(1)
    average = MovingAverage(network, 0.9)
    network.num_batches_tracked += 7
    average.update(network, 0)
    assert average.weights["num_batches_tracked"].item() == 7


def test_a_network_has_the_average_inside_and_its_own_weights_afterwards():
    network = single(2.0)
    average = MovingAverage(network, 0.9)
    torch.nn.init.constant_(network.weight, 4.0)
    with average.inside(network):
        assert network.weight.item() == 2.0
    assert network.weight.item() == 4.0


def test_an_average_does_not_share_memory_with_the_network():
    network = single(2.0)
    average = MovingAverage(network, 0.9)
    average.load({"weight": torch.tensor([[3.0]])})
    assert (average.weights["weight"].item(), network.weight.item()) == (3.0, 2.0)


def test_an_average_of_weights_in_half_precision_is_kept_in_float32():
    network = single(1.0).to(torch.bfloat16)
    average = MovingAverage(network, 0.999)
    torch.nn.init.constant_(network.weight, 2.0)
    average.update(network, 10**6)
    # One and a thousandth is one in bfloat16.
    assert average.weights["weight"].item() == pytest.approx(1.001)
    with average.inside(network):
        assert network.weight.dtype == torch.bfloat16
