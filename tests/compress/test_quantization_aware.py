from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeprep.compress._quantization_aware import NoiseBySignal, fine_tuning
from edgeprep.compress.quantization_aware import QuantizationAware
from edgeprep.compress.simulate import collect_ranges, simulated
from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.interfaces import Quantization


@pytest.fixture(autouse=True)
def _torch() -> Iterator[None]:
    """The same weights every time; a second thread takes longer to wake than these networks run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


class Fragile(nn.Module):
    """Tells the brightest channel, by values that are small beside another one in one tensor."""

    def __init__(self, spread: float = 300.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 3, 1)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(4, 3)[..., None, None])
            self.first.weight[3] = spread
            self.second.weight.copy_(torch.eye(3, 4)[..., None, None])
            self.second.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.norm(self.first(x)) + 2)).mean((2, 3))


def int8_accuracy(network: nn.Module, bench: Any, levels: int = 127) -> float:
    inputs = torch.cat([inputs for inputs, _ in bench.batches()])
    with simulated(network, collect_ranges(network, [inputs]), levels=levels):
        return bench.score(network)


@pytest.mark.parametrize("learn_from", ["labels", "itself"])
def test_int8_gets_better_and_float_stays(learn_from, workbench):
    network = Fragile().eval()
    bench = workbench(network)
    assert bench.score(network) == 1.0
    assert int8_accuracy(network, bench) < 0.7
    step = QuantizationAware(epochs=60, learning_rate=0.02, learn_from=learn_from)
    tuned = step.apply(deepcopy(network), bench)
    assert bench.score(tuned) > 0.95
    assert int8_accuracy(tuned, bench) > 0.9
    # What exporters with weights of 7 bits make of it.
    assert int8_accuracy(tuned, bench, 63) > 0.9


@pytest.mark.parametrize("learn_from", ["itself", "auto"])
def test_labels_are_not_needed_to_learn_from_itself(learn_from, workbench):
    network = Fragile().eval()
    bench = workbench(network, labelled=False)
    QuantizationAware(epochs=1, learn_from=learn_from).apply(deepcopy(network), bench)
    assert bench.trained == [("quantization-aware", 1)]


def test_labels_are_needed_to_learn_from_labels(workbench):
    network = Fragile().eval()
    with pytest.raises(RecipeError, match=r"^data\.training: must have labels"):
        QuantizationAware(epochs=1, learn_from="labels").apply(
            network, workbench(network, labelled=False)
        )


def test_labels_are_learned_from_where_there_are_some(workbench, monkeypatch):
    monkeypatch.setattr(NoiseBySignal, "loss", None)
    network = Fragile().eval()
    bench = workbench(network)
    QuantizationAware(epochs=1).apply(network, bench)
    assert bench.trained == [("quantization-aware", 1)]


def test_the_network_comes_out_as_it_went_in_but_for_its_weights(workbench):
    network = Fragile().eval()
    tuned = QuantizationAware(epochs=1).apply(deepcopy(network), workbench(network))
    before, after = network.state_dict(), tuned.state_dict()
    assert {key: value.shape for key, value in after.items()} == {
        key: value.shape for key, value in before.items()
    }
    assert not torch.equal(after["first.weight"], before["first.weight"])
    # Exporters fold statistics into weights, so that those are what training has seen.
    assert torch.equal(after["norm.running_mean"], before["norm.running_mean"])
    assert torch.equal(after["norm.running_var"], before["norm.running_var"])
    assert not any(module.training for module in tuned.modules())
    assert not any(module._forward_hooks for module in tuned.modules())


def test_what_was_measured_is_told(workbench):
    network = Fragile().eval()
    bench = workbench(network)
    QuantizationAware(epochs=2).apply(deepcopy(network), bench)
    ((title, outcome), *_) = bench.told
    assert title == "simulate int8"
    assert outcome.startswith("3 layers in int8, signal to noise ")
    assert bench.trained == [("quantization-aware", 2)]


def test_the_same_seed_gives_the_same_weights(workbench, tmp_path):
    outcomes = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        network = Fragile().eval()
        bench = workbench(network)
        bench.directory = tmp_path / name
        outcomes.append(QuantizationAware(epochs=3).apply(network, bench).state_dict())
    assert all(torch.equal(value, outcomes[1][key]) for key, value in outcomes[0].items())


def test_layers_can_be_kept_in_float(workbench):
    network = Fragile().eval()
    bench = workbench(network)
    QuantizationAware(epochs=1, keep_float=("sec*",)).apply(deepcopy(network), bench)
    assert bench.told[0][1].startswith("2 layers in int8")


def test_layers_that_the_recipe_keeps_in_float_are_not_simulated(workbench):
    network = Fragile().eval()
    bench = workbench(network)
    bench.source = bench.source.keeping(("first",))
    QuantizationAware(epochs=1).apply(deepcopy(network), bench)
    assert bench.told[0][1].startswith("2 layers in int8")
    QuantizationAware(epochs=1, keep_float=("sec*",)).apply(deepcopy(network), bench)
    assert bench.told[1][1].startswith("1 layers in int8")


def turns(levels: tuple[int, ...], steps: int) -> list[int]:
    """The first step that gave the same as each step."""
    network, x = nn.Sequential(nn.Conv2d(3, 4, 1)), torch.randn(64, 3, 2, 2)
    ranges = collect_ranges(network.eval(), [x])
    seen = []
    with fine_tuning(network, ranges, [x], layers=ranges.layers, levels=levels):
        for _ in range(steps):
            network.train()
            output = network(x)
            seen.append(output.detach())
    return [next(i for i, one in enumerate(seen) if torch.equal(one, value)) for value in seen]


def test_steps_take_turns_between_grids_and_float():
    assert turns((63, 127, 0), 6) == [0, 1, 2, 0, 1, 2]
    assert turns((63,), 3) == [0, 0, 0]


def test_a_turn_in_float_is_the_network_itself():
    network, x = Fragile(3.0), torch.randn(8, 3, 2, 2)
    expected = network.eval()(x)
    ranges = collect_ranges(network, [x])
    with fine_tuning(network, ranges, [x], layers=ranges.layers, levels=(0,)):
        network.train()
        assert torch.equal(network(x), expected)


def test_batch_norms_stay_as_in_use():
    network, x = Fragile(3.0).eval(), torch.randn(8, 3, 2, 2)
    ranges = collect_ranges(network, [x])
    with fine_tuning(network, ranges, [x], layers=ranges.layers, levels=(127,)):
        network.train()
        network(x).sum().backward()
    assert torch.equal(network.norm.running_mean, torch.zeros(4))
    assert network.norm.weight.grad is not None
    assert bool(network.norm.weight.grad.any())


def test_ranges_follow_the_weights():
    network, x = Fragile(3.0).eval(), torch.randn(8, 3, 2, 2)
    ranges = collect_ranges(network, [x])
    with fine_tuning(network, ranges, [x], layers=ranges.layers, levels=(127,)):
        network.train()
        network(x)
        with torch.no_grad():
            network.first.weight *= 10
        network.eval()
        with torch.no_grad():
            scored = network(x)
    with torch.no_grad(), simulated(network, collect_ranges(network, [x])):
        assert torch.equal(scored, network(x))


def test_ranges_are_chosen_by_the_recipes_calibrator(workbench, monkeypatch):
    network = Fragile().eval()
    bench = workbench(network)
    bench.source = bench.source.quantized_by(Quantization(calibrator="percentile", percentile=90.0))
    seen = []

    def tune(network: nn.Module, name: str, **_: Any) -> nn.Module:
        network.train()
        with torch.no_grad():
            for _ in range(2):
                network.eval()(torch.randn(1, 3, 12, 12))
                seen.append(network.simulated_int8_limits.abs().amax().item())
                network.train()(torch.randn(1, 3, 12, 12))
        return network

    monkeypatch.setattr(
        type(bench), "fine_tune", lambda _, network, **given: tune(network, **given)
    )
    QuantizationAware(epochs=1).apply(deepcopy(network), bench)
    samples = torch.from_numpy(bench.source.calibration_preprocessed)
    with torch.no_grad():
        widest = float(network.norm(network.first(samples)).abs().amax())
    # Before, and measured again after a step.
    assert seen[0] == seen[1]
    assert seen[0] < 0.9 * widest


def test_ranges_are_measured_again_in_a_long_epoch():
    network, x = Fragile(3.0).eval(), torch.randn(8, 3, 2, 2)
    ranges = collect_ranges(network, [x])
    with fine_tuning(network, ranges, [x], layers=ranges.layers, levels=(127,)):
        network.train()
        before = network.simulated_int8_limits.clone()
        with torch.no_grad():
            network.first.weight *= 10
        for _ in range(32):
            network(x)
            assert torch.equal(network.simulated_int8_limits, before)
        network(x)
        after = network.simulated_int8_limits
    assert float(after.abs().max()) > 5 * float(before.abs().max())
    assert network.training


def test_a_training_that_is_interrupted_goes_on_as_if_it_were_not():
    x = torch.randn(8, 3, 2, 2)

    def train(network: nn.Module, state: dict[str, Tensor] | None, steps: int) -> dict[str, Tensor]:
        ranges = collect_ranges(network.eval(), [x])
        with fine_tuning(network, ranges, [x], layers=ranges.layers, levels=(63, 127, 0)):
            if state is not None:
                network.load_state_dict(state)
            optimizer = torch.optim.SGD(network.parameters(), 1e-4)
            for _ in range(steps):
                network.train()
                optimizer.zero_grad()
                network(x).square().sum().backward()
                optimizer.step()
            return {key: value.clone() for key, value in network.state_dict().items()}

    whole = train(Fragile(3.0), None, 40)
    half = train(Fragile(3.0), None, 17)
    resumed = train(Fragile(3.0), half, 23)
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


@pytest.mark.parametrize(
    ("asked", "policy", "levels"),
    [
        ("auto", "auto", (63, 127, 0)),
        ("auto", "full", (127, 0)),
        ("auto", "reduced", (63, 0)),
        ("full", "reduced", (127, 0)),
        ("reduced", "auto", (63, 0)),
    ],
)
def test_weights_use_as_much_of_int8_as_is_asked_for(asked, policy, levels, workbench, monkeypatch):
    network = Fragile().eval()
    bench = workbench(network)
    bench.source = bench.source.quantized_by(Quantization(weight_range=policy))
    seen = []

    def tune(network: nn.Module, *given: Any, levels: Any, **options: Any) -> Any:
        seen.append(levels)
        return fine_tuning(network, *given, levels=levels, **options)

    monkeypatch.setattr("edgeprep.compress._quantization_aware.fine_tuning", tune)
    QuantizationAware(epochs=1, weight_range=asked).apply(network, bench)
    assert seen == [levels]


def test_imitation_is_noise_by_signal():
    teacher = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        teacher.weight.fill_(1.0)
    student = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        student.weight.copy_(torch.tensor([[1.0, 0.0]]))
    # 2 and 4 are wanted; 1 and 3 come: (1 + 1) / (4 + 16).
    loss = NoiseBySignal(teacher).loss(student, torch.tensor([[1.0, 1.0], [3.0, 1.0]]), None)
    assert float(loss.detach()) == pytest.approx(0.1)


def fault(network: nn.Module, bench: Any, **options: Any) -> str:
    with pytest.raises((ConvertError, RecipeError), match=r".") as raised:
        QuantizationAware(**options).apply(network, bench)
    return str(raised.value)


def test_a_network_with_nothing_to_quantize_is_refused(workbench):
    network = nn.Flatten().eval()
    assert fault(network, workbench(network)) == (
        "simulated int8: the network must compute something that can be quantized, got []; "
        "what torch.jit has compiled cannot be seen"
    )


def test_samples_are_needed(workbench):
    network = Fragile().eval()
    bench = workbench(network)
    none = np.empty((0, 12, 12, 3), np.uint8)
    bench.source = NetworkSource(network, bench.chain, none, scratch=bench.storage)
    assert fault(network, bench) == (
        "data.calibration: required key is missing; quantization-aware fine-tuning measures "
        "ranges of values with it"
    )


def test_a_pattern_that_matches_nothing_is_refused(workbench):
    network = Fragile().eval()
    assert fault(network, workbench(network), keep_float=("frist",)) == (
        "quantization-aware.keep_float[0]: must match a module of the network, got 'frist'; "
        "did you mean 'first'?"
    )


def test_a_layer_must_be_left_to_quantize(workbench):
    class Plain(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Flatten(), nn.Linear(432, 3))

    network = Plain().eval()
    assert fault(network, workbench(network), keep_float=("1",)) == (
        "quantization-aware.keep_float: must leave a layer to be quantized, got ['1']; "
        "name fewer of them, or leave the pass out"
    )
