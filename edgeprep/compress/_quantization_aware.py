"""The heavy half of quantization-aware fine-tuning."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from edgeprep.compress.batches import make_batches
from edgeprep.compress.floating import as_taken_by
from edgeprep.compress.grid import WEIGHT_LEVELS
from edgeprep.compress.noise import snr_db
from edgeprep.compress.observed import collect_ranges, floating_outputs, run_network
from edgeprep.compress.simulate import Simulation, simulated
from edgeprep.compress.sites import Ranges
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.interfaces import Objective, Quantization, Workbench
from edgeprep.tensors import TensorSpec
from edgeprep.train.modules import match_patterns
from edgeprep.train.unroll import unrolled

if TYPE_CHECKING:
    from edgeprep.compress.quantization_aware import QuantizationAware

__all__ = ["NoiseBySignal", "fine_tune", "fine_tuning"]

# As many as conversions usually calibrate with; measuring them costs as much as a step or two.
_MOST_SAMPLES = 256
# How many steps ranges hold before they are measured again.
_STEPS = 32
# What comes before the user's paths in those of a source.
_NETWORK = "network."
_MIN_MAX = Quantization()
# Buffers: limits, steps of training, and how many of these there were when limits were measured.
_LIMITS, _COUNT = "simulated_int8_limits", "simulated_int8_steps"
_MEASURED = "simulated_int8_measured"


def fine_tune(
    settings: "QuantizationAware", network: torch.nn.Module, bench: Workbench
) -> torch.nn.Module:
    """See `QuantizationAware.apply`."""
    levels, policy = _levels(settings, bench), bench.source.quantization
    states = bench.source.states
    samples = _samples(network, bench)
    teacher = unrolled(deepcopy(network).eval(), states)
    with bench.step("simulate int8") as done:
        ranges = collect_ranges(network, samples, policy, states)
        kept = match_patterns(network, settings.keep_float, "quantization-aware.keep_float")
        always = [path.removeprefix(_NETWORK) for path in bench.source.keep_float]
        layers = ranges.layers_without([*kept, *always])
        if not layers:
            rule = "quantization-aware.keep_float: must leave a layer to be quantized"
            got = [*settings.keep_float, *always]
            raise ConvertError(f"{rule}, got {got!r}; name fewer of them, or leave the pass out")
        with simulated(network, ranges, layers=layers, levels=levels[0]):
            noisy = [run_network(unrolled(network, states), batch) for batch in samples]
        before = snr_db([run_network(teacher, batch) for batch in samples], noisy)
        done(f"{len(layers)} layers in int8, signal to noise {before:.1f} dB")
    with fine_tuning(
        network, ranges, samples, layers=layers, levels=levels, policy=policy, states=states
    ):
        network = bench.fine_tune(
            network,
            name="quantization-aware",
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            objective=NoiseBySignal(teacher) if _learns_from_itself(settings, bench) else None,
        )
    return network.eval()


@contextmanager
def fine_tuning(
    network: torch.nn.Module,
    ranges: Ranges,
    samples: Sequence[torch.Tensor],
    *,
    layers: Collection[str],
    levels: Sequence[int],
    policy: Quantization = _MIN_MAX,
    states: Sequence[TensorSpec] = (),
) -> Iterator[None]:
    """Inside, every call of `network` is simulated, with ranges that follow its weights.

    Ranges are chosen by `policy` for `samples`: that is how exporters will choose them for the
    weights that come out, so that ranges that were learned would be lost. They are measured again
    every few steps, and before the network is scored. They are a buffer of the network meanwhile,
    so that what keeps and averages its state has them too. Batch normalization stays as in use,
    because exporters fold it into weights; its weights learn.

    Args:
        network: in eval mode, or in train mode.
        ranges: of `network`.
        samples: batches that ranges are measured with.
        layers: see `simulated`.
        levels: see `simulated`; 0: all in float. Steps of training take turns, because weights that
            are right on one grid alone can be worse elsewhere than they were before: on a finer
            grid, and in float, which other variants need. Scores are those of the first.
        policy: that of `ranges`.
        states: what `network` takes after a picture. Samples are clips then, and a step of training
            is a clip from its beginning, where all states are zeros.

    Source: arXiv:1712.05877, section 3, for training with folded batch norms and simulated
    rounding; arXiv:1806.08342, section 3, for frozen statistics.
    """
    simulation = _Training(
        network, ranges, samples, layers=layers, levels=levels, policy=policy, states=states
    )
    limits = torch.tensor([ranges.limits[place] for place in ranges.limits], dtype=torch.float32)
    network.register_buffer(_LIMITS, limits)
    network.register_buffer(_COUNT, torch.zeros((), dtype=torch.int64))
    network.register_buffer(_MEASURED, torch.zeros((), dtype=torch.int64))
    try:
        with simulation.on_network():
            yield
    finally:
        delattr(network, _LIMITS)
        delattr(network, _COUNT)
        delattr(network, _MEASURED)


class NoiseBySignal(Objective):
    """How far outputs are from what `teacher` gives: noise by signal, the mean of all outputs."""

    def __init__(self, teacher: torch.nn.Module) -> None:
        self._teacher = teacher

    def loss(
        self, network: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """See `Objective.loss`; `labels` are not looked at."""
        with torch.no_grad():
            teacher = self._teacher.to(inputs.device)
            wanted = floating_outputs(teacher(as_taken_by(teacher, inputs)))
        losses = [
            (one - other).square().mean() / other.square().mean().clamp_min(1e-12)
            for one, other in zip(floating_outputs(network(inputs)), wanted, strict=True)
        ]
        return torch.stack(losses).mean()


class _Training(Simulation):
    def __init__(
        self,
        network: torch.nn.Module,
        ranges: Ranges,
        samples: Sequence[torch.Tensor],
        *,
        layers: Collection[str],
        levels: Sequence[int],
        policy: Quantization,
        states: Sequence[TensorSpec],
    ) -> None:
        super().__init__(network, ranges, layers=layers, levels=levels[0])
        self._states = states
        self._samples = samples
        self._turns = levels
        self._policy = policy
        self._measuring = False
        self._in_float = False

    def begin(self, inputs: Sequence[Any]) -> None:
        """Have batch norms and ranges as they are to be."""
        if self._measuring:
            return
        super().begin(inputs)
        training = self.network.training
        count, measured = getattr(self.network, _COUNT), getattr(self.network, _MEASURED)
        for module in self.network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._NormBase):
                module.eval()
        if any(bool(state.any()) for state in inputs[1:]):
            return  # one grid serves a clip to its end
        due = not training or int(count) % _STEPS == 0
        if due and int(count) != int(measured):
            self._measure()
            measured.copy_(count)
        levels = self._turns[int(count) % len(self._turns) if training else 0]
        self._in_float = not levels
        self._levels = levels or self._levels
        if training:
            count += 1
        self._ranges = self._ranges.with_limits(getattr(self.network, _LIMITS).tolist())

    def operator(self, *given: Any) -> Any:
        """In float while ranges are measured."""
        if self._measuring or self._in_float:
            _, _, function, args, kwargs = given
            return function(*args, **kwargs)
        return super().operator(*given)

    def _measure(self) -> None:
        limits = getattr(self.network, _LIMITS)
        modes = {module: module.training for module in self.network.modules()}
        self._measuring = True
        try:
            self.network.eval()
            moved = (batch.to(limits.device) for batch in self._samples)
            batches = (as_taken_by(self.network, batch) for batch in moved)
            found = collect_ranges(self.network, batches, self._policy, self._states)
        finally:
            self._measuring = False
            for module, mode in modes.items():
                module.training = mode
        rows = [found.limits[place] for place in self._ranges.limits]
        with torch.no_grad():
            limits.copy_(torch.tensor(rows))


def _learns_from_itself(settings: "QuantizationAware", bench: Workbench) -> bool:
    if settings.learn_from != "auto":
        return settings.learn_from == "itself"
    return any(labels is None for _, labels in bench.batches(1))


def _levels(settings: "QuantizationAware", bench: Workbench) -> tuple[int, ...]:
    """The grids that training takes turns in: one of each kind, and float."""
    asked = settings.weight_range
    if asked == "auto":
        asked = bench.source.quantization.weight_range
    full, reduced = WEIGHT_LEVELS["full"], WEIGHT_LEVELS["reduced"]
    turns = {"auto": (reduced, full), "full": (full,), "reduced": (reduced,)}
    return (*turns[asked], 0)


def _samples(network: torch.nn.Module, bench: Workbench) -> tuple[torch.Tensor, ...]:
    samples = bench.source.whole_samples()
    if not samples:
        remedy = "quantization-aware fine-tuning measures ranges of values with it"
        raise RecipeError(f"data.calibration: required key is missing; {remedy}")
    return make_batches(unrolled(network, bench.source.states), samples, samples=_MOST_SAMPLES)
