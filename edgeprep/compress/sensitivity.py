"""What quantizing each layer costs, found by simulated INT8 and a few samples."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.compress.batches import Inputs, each_batch, make_batches
from edgeprep.compress.grid import WEIGHT_LEVELS
from edgeprep.compress.noise import decibels, power, snr_db
from edgeprep.compress.observed import collect_ranges, run_network
from edgeprep.compress.simulate import Simulation, simulated
from edgeprep.compress.sites import Ranges
from edgeprep.compress.watch import Place
from edgeprep.errors import ConvertError
from edgeprep.interfaces import Quantization
from edgeprep.tensors import TensorSpec
from edgeprep.train.unroll import unrolled

__all__ = ["LayerCost", "Sensitivity", "confirm", "measure", "rank_layers"]

# Noise is a mean over all values of all samples: few are enough for an order of layers.
_SAMPLES, _FEWEST_SAMPLES = 32, 4
# What a ranking may take, in multiplications: a minute or so on two cores.
_MACS = 1_000_000_000_000
_AUTO = Quantization()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """What it costs to quantize one layer.

    Attributes:
        path: of the module, as `keep_float` names it.
        kinds: what it computes in integers, such as ("convolution",).
        snr_db: signal to noise at the network's outputs when it alone is quantized, in decibels;
            infinite where nothing changes. Of several outputs the one that loses most.
        own_snr_db: the same at its own output.
        parameters: values in its weights.
        macs: its share of all multiplications, 0 to 1.
        inside: how many other layers are inside it, and stay in float with it.
        drop: what the metric loses when it alone is quantized; None where that was not measured.
    """

    path: str
    kinds: tuple[str, ...]
    snr_db: float
    own_snr_db: float
    parameters: int
    macs: float
    inside: int = 0
    drop: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """A network's layers by cost, and what it takes to try others.

    Attributes:
        network: see `measure`.
        ranges: of what it computes.
        layers: most costly first; what runs in the network's own `forward` has no path to be kept
            in float by, and is none of them.
        batches: the samples, as the network takes them.
        expected: what it gives for them in float.
        rows: see `measure`.
        levels: see `simulated`.
        states: see `measure`.
    """

    network: torch.nn.Module
    ranges: Ranges
    layers: tuple[LayerCost, ...]
    batches: tuple[torch.Tensor, ...]
    expected: tuple[Sequence[torch.Tensor], ...]
    rows: int = 1
    levels: int = 127
    states: tuple[TensorSpec, ...] = ()

    @property
    def samples(self) -> int:
        """How many were run for every layer."""
        return sum(len(batch) for batch in self.batches) // self.rows

    def candidates(self, always: Iterable[str] = ()) -> tuple[str, ...]:
        """The paths of `layers` but those in modules of `always`."""
        left = set(self.ranges.layers_without(always))
        return tuple(layer.path for layer in self.layers if layer.path in left)

    def snr_db(self, keep_float: Iterable[str] = ()) -> float:
        """Signal to noise at the outputs with all layers quantized but those of `keep_float`."""
        return self._snr_of(self.ranges.layers_without(keep_float))

    def fewest(self, threshold_db: float, always: Sequence[str] = ()) -> tuple[str, ...] | None:
        """The fewest layers, most costly first, that reach `threshold_db` when they stay in float.

        They are found by bisection, and those that turn out not to be needed are left out again.

        Args:
            threshold_db: signal to noise at the outputs.
            always: paths of modules that stay in float anyway.

        Returns: None where the threshold is reached by no choice that leaves something to quantize.
        """
        order = self.candidates(always)
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self.snr_db((*always, *order[:middle])) >= threshold_db:
                high = middle
            else:
                low = middle + 1
        kept = order[:high]
        if self.snr_db((*always, *kept)) < threshold_db or not self.candidates((*always, *kept)):
            return None
        for path in reversed(kept[:-1]):
            fewer = tuple(other for other in kept if other != path)
            if self.snr_db((*always, *fewer)) >= threshold_db:
                kept = fewer
        return kept

    def _snr_of(self, layers: Collection[str]) -> float:
        with simulated(self.network, self.ranges, layers=layers, levels=self.levels):
            whole = unrolled(self.network, self.states)
            noisy = [run_network(whole, batch) for batch in self.batches]
        return snr_db(self.expected, noisy)


def rank_layers(
    network: torch.nn.Module,
    inputs: NDArray[np.float32],
    *,
    samples: int | None = None,
    rows: int = 1,
    policy: Quantization = _AUTO,
) -> tuple[LayerCost, ...]:
    """The layers of `network`, by what it costs to quantize each alone; most costly first.

    See `measure`, of which this is the list.
    """
    return measure(network, inputs, samples=samples, rows=rows, policy=policy).layers


def measure(
    network: torch.nn.Module,
    inputs: Inputs,
    *,
    samples: int | None = None,
    rows: int = 1,
    policy: Quantization = _AUTO,
    states: tuple[TensorSpec, ...] = (),
) -> Sensitivity:
    """Quantize each layer of `network` alone, and see what that does to its outputs.

    Args:
        network: in eval mode, float32.
        inputs: `(samples, …)`, float32, as the network takes them; or each as it takes it alone.
            Ranges are of all of them.
        samples: how many of them, spread evenly, are run for every layer; None: 32, or as few as 4
            of a large network.
        rows: so many rows of `inputs` are one sample, which the network takes at once.
        policy: how ranges are chosen, and how much of int8 weights use; "auto" is the same as
            "reduced" here, the less exact of what formats make of it.
        states: what `network` takes after a picture. Samples are clips then, and what it answers at
            their ends is compared, with all that has added up in the states.

    Raises:
        ConvertError: there are no samples, the network cannot be simulated, or it gives nothing but
            zeros.
    """
    levels = WEIGHT_LEVELS[policy.weight_range]
    if not isinstance(inputs, np.ndarray):
        rows = len(inputs[0]) if len(inputs) else 1
    whole = unrolled(network, states)
    every = each_batch(whole, inputs, samples=len(inputs), rows=rows)
    ranges = collect_ranges(network, every, policy, states)
    frames = max(part.shape[1] for part in inputs) if states else 1
    count = _affordable(ranges, frames) if samples is None else samples
    batches = make_batches(whole, inputs, samples=count, rows=rows)
    expected = tuple(run_network(whole, batch) for batch in batches)
    if not any(float(value.abs().max()) for outputs in expected for value in outputs):
        raise ConvertError("sensitivity: outputs must differ from zero, got zeros for all samples")
    found = Sensitivity(
        network=network,
        ranges=ranges,
        layers=(),
        batches=batches,
        expected=expected,
        rows=rows,
        levels=levels,
        states=states,
    )
    own = _own_snrs(found)
    costs = []
    for path in filter(None, ranges.layers):
        costs.append(_cost(found, path, own.get(path, math.inf)))
    # NOTE: sorted keeps the order in which layers run where they cost the same.
    return replace(found, layers=tuple(sorted(costs, key=lambda cost: cost.snr_db)))


def confirm(found: Sensitivity, drop: Callable[[], float], worst: int) -> tuple[LayerCost, ...]:
    """`found.layers`, with what the metric loses for the first `worst` of them.

    Args:
        found: what `measure` gave.
        drop: how much worse the metric of `found.network` is now than in float.
        worst: how many layers are looked at.
    """
    layers = list(found.layers)
    for index, layer in enumerate(layers[:worst]):
        with simulated(found.network, found.ranges, layers={layer.path}, levels=found.levels):
            layers[index] = replace(layer, drop=drop())
    return tuple(layers)


def _affordable(ranges: Ranges, frames: int) -> int:
    """How many samples, of so many frames, a ranking is to take: every layer has them run once."""
    macs = sum(site.macs for site in ranges.sites) * len(ranges.layers) * frames
    return min(_SAMPLES, max(_FEWEST_SAMPLES, _MACS // max(macs, 1)))


def _cost(found: Sensitivity, path: str, own: float) -> LayerCost:
    sites = [site for site in found.ranges.sites if site.place.path == path]
    macs = sum(site.macs for site in found.ranges.sites)
    return LayerCost(
        path=path,
        kinds=tuple(dict.fromkeys(site.kind for site in sites)),
        snr_db=found._snr_of({path}),
        own_snr_db=own,
        parameters=sum(site.parameters for site in sites),
        macs=sum(site.macs for site in sites) / macs if macs else 0.0,
        inside=sum(other.startswith(f"{path}.") for other in found.ranges.layers),
    )


def _own_snrs(found: Sensitivity) -> dict[str, float]:
    """By layer: signal to noise where it ends, while all others compute in float."""
    side = _BySide(found.network, found.ranges, levels=found.levels)
    whole = unrolled(found.network, found.states)
    with side.on_network():
        for batch in found.batches:
            run_network(whole, batch)
    own: dict[str, float] = {}
    for place, (signal, noise) in side.powers.items():
        own[place.path] = min(own.get(place.path, math.inf), decibels(signal, noise))
    return own


class _BySide(Simulation):
    """Computes every operator twice, and goes on with float."""

    def __init__(self, network: torch.nn.Module, ranges: Ranges, *, levels: int) -> None:
        super().__init__(network, ranges, levels=levels)
        self.powers: dict[Place, tuple[float, float]] = {}

    def operator(
        self,
        place: Place,
        kind: Any,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        site = self._sites.get(place)
        if site is None:
            return function(*args, **kwargs)
        copies, options = self.quantize_operands(site, _cloned(args), kwargs)
        noisy = function(*copies, **options)
        output = function(*args, **kwargs)
        if isinstance(output, torch.Tensor) and isinstance(noisy, torch.Tensor):
            if site.end == place:
                noisy = self.quantize_output(place, noisy)
            signal, noise = self.powers.get(place, (0.0, 0.0))
            self.powers[place] = signal + power(output), noise + power(output - noisy)
        return output


def _cloned(args: tuple[Any, ...]) -> tuple[Any, ...]:
    # What runs in its place would change what the second run reads.
    return tuple(one.clone() if isinstance(one, torch.Tensor) else one for one in args)
