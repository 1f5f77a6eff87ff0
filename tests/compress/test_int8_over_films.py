"""Simulated INT8 of networks that remember: over whole films, from states of zeros."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeprep.compress._quantization_aware import fine_tuning
from edgeprep.compress.batches import make_batches
from edgeprep.compress.sensitivity import measure
from edgeprep.compress.simulate import collect_ranges, simulated
from edgeprep.compress.watch import Place
from edgeprep.errors import ConvertError
from edgeprep.tensors import TensorSpec
from edgeprep.train.unroll import unrolled

STATES = (TensorSpec(name="hidden", shape=(1, 4), dtype="float32"),)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.taken = nn.Linear(3, 4)
        self.kept = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = torch.tanh(self.taken(x) + self.kept(hidden))
        return self.head(hidden), hidden


def films(*lengths: int) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return [random.standard_normal((1, length, 3), np.float32) for length in lengths]


def frame_by_frame(network: nn.Module, film: NDArray[np.float32]) -> torch.Tensor:
    """What it answers to the last frame."""
    hidden, answer = torch.zeros(1, 4), torch.empty(0)
    with torch.no_grad():
        for frame in torch.from_numpy(film[0]):
            answer, hidden = network(frame[None], hidden)
    return answer


@pytest.mark.parametrize("lengths", [(5,) * 6, (2, 5, 3, 5, 2)], ids=["alike", "uneven"])
def test_a_layer_costs_what_it_changes_at_the_ends_of_films(lengths: tuple[int, ...]) -> None:
    network, samples = Recurrent().eval(), films(*lengths)
    found = measure(network, samples, states=STATES)
    assert found.samples == len(lengths)
    clean = [frame_by_frame(network, film) for film in samples]
    for cost in found.layers:
        with simulated(network, found.ranges, layers={cost.path}, levels=found.levels):
            noisy = [frame_by_frame(network, film) for film in samples]
        signal = sum(float(one.square().sum()) for one in clean)
        noise = sum(
            float((one - other).square().sum()) for one, other in zip(clean, noisy, strict=True)
        )
        assert cost.snr_db == pytest.approx(10 * math.log10(signal / noise), abs=0.01)
    # What is wrong with the state adds up, and the head is asked once.
    order = [cost.path for cost in found.layers]
    assert sorted(order) == ["head", "kept", "taken"]


def test_ranges_are_those_of_all_frames_and_of_what_is_remembered() -> None:
    network, samples = Recurrent().eval(), films(4, 4)
    batches = [torch.from_numpy(film) for film in samples]
    ranges = collect_ranges(network, batches, states=STATES)
    low, high = ranges.limits[Place("", "input", 0)]
    assert (low, high) == pytest.approx((min(map(np.min, samples)), max(map(np.max, samples))))
    states = []
    for film in samples:
        states += [frame_by_frame(_StateOf(network), film[:, :end]) for end in (1, 2, 3)]
    wanted = torch.cat([torch.zeros(1, 4), *states]).aminmax()
    assert ranges.limits[Place("", "input", 1)] == pytest.approx(tuple(map(float, wanted)))


class _StateOf(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        _, hidden = self.network(x, hidden)
        return hidden, hidden


def test_one_grid_serves_a_clip_to_its_end_and_the_next_one_another() -> None:
    network, samples = Recurrent(), [torch.from_numpy(film) for film in films(4, 4)]
    network.eval()
    ranges = collect_ranges(network, samples, states=STATES)
    clip = samples[0]
    clean = unrolled(network, STATES)(clip)[0].detach()
    with (
        torch.no_grad(),
        fine_tuning(
            network, ranges, samples, layers=ranges.layers, levels=(7, 127, 0), states=STATES
        ),
    ):
        network.train()
        rounded = [unrolled(network, STATES)(clip)[0] for _ in range(4)]
        assert int(network.simulated_int8_steps) == 4  # clips, and not their frames
    for levels, given in zip((7, 127), rounded, strict=False):
        with torch.no_grad(), simulated(network, ranges, levels=levels):
            assert torch.equal(given, unrolled(network, STATES)(clip)[0])
    assert torch.equal(rounded[2], clean)
    assert torch.equal(rounded[3], rounded[0])
    assert not torch.equal(rounded[0], rounded[1])


def test_films_of_one_length_are_run_together_and_others_apart() -> None:
    network = unrolled(Recurrent().eval(), STATES)
    batches = make_batches(network, films(2, 3, 2, 3, 3), samples=9)
    assert [tuple(batch.shape) for batch in batches] == [(2, 2, 3), (3, 3, 3)]


class Mixing(torch.nn.Module):
    """A network whose answer to a sample has something of those beside it."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x - x.mean(0, keepdim=True),)


@pytest.mark.parametrize("lengths", [(2, 3, 3, 3), (2, 3, 4)])
def test_a_length_that_occurs_once_does_not_tell_whether_samples_mix(
    lengths: tuple[int, ...],
) -> None:
    batches = make_batches(Mixing().eval(), films(*lengths), samples=9)
    assert [tuple(batch.shape) for batch in batches] == [(1, length, 3) for length in lengths]


def test_no_film_to_measure_with_is_refused() -> None:
    message = r"^simulated int8: samples are needed to measure with, got 0$"
    with pytest.raises(ConvertError, match=message):
        measure(Recurrent().eval(), [], states=STATES)
