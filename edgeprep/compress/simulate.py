"""Simulated INT8: any network computes what engines would, without being rewritten."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from edgeprep.compress.grid import on_activation_grid, on_weight_grid
from edgeprep.compress.observed import collect_ranges
from edgeprep.compress.operators import QUANTIZED, OperatorKind
from edgeprep.compress.sites import Operand, Ranges, Site
from edgeprep.compress.watch import Place, Watch
from edgeprep.errors import ConvertError
from edgeprep.schema import nearest

__all__ = ["Ranges", "Simulation", "collect_ranges", "simulated"]


@contextmanager
def simulated(
    network: torch.nn.Module,
    ranges: Ranges,
    *,
    layers: Collection[str] | None = None,
    levels: int = 127,
) -> Iterator[None]:
    """Inside, `network` computes as int8 engines do; its weights stay what they are.

    Weights are symmetric and per output channel, with batch norms folded into the convolutions
    before them; activations are asymmetric and per tensor. What an int8 operator reads and what it
    gives is on the grid, for all that read it; outputs of the network are not. Gradients go
    straight through rounding.

    Args:
        network: that of `ranges`.
        ranges: what `collect_ranges` has measured.
        layers: paths of modules; what runs in the `forward` of one of them is quantized, without
            what runs in modules inside it. None: everything.
        levels: steps of weights to both sides of zero: 127, or 63 for "reduced" weights.

    Raises:
        ConvertError: `layers` names what is not in `ranges`; or, inside, the network computes
            other operators than those in `ranges`.
    """
    unknown = sorted(set(layers or ()) - set(ranges.layers))
    if unknown:
        raise ConvertError(
            "simulated int8: layers must be paths of modules that compute something in integers, "
            f"got {unknown[0]!r}{nearest(unknown[0], ranges.layers)}"
        )
    simulation = Simulation(network, ranges, layers=layers, levels=levels)
    with simulation.on_network():
        yield


class Simulation(Watch):
    """Puts what operators read and give on the grids of int8.

    Args:
        network: see `simulated`.
        ranges: see `simulated`.
        layers: see `simulated`.
        levels: see `simulated`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        ranges: Ranges,
        *,
        layers: Collection[str] | None = None,
        levels: int = 127,
    ) -> None:
        super().__init__(network)
        active = [one for one in ranges.sites if layers is None or one.place.path in layers]
        self._ranges = ranges
        self._levels = levels
        self._sites = {site.place: site for site in active}
        self._stored = _stored(active) - ranges.outputs
        self._tensors: dict[str, torch.Tensor] = {}

    def begin(self, inputs: Sequence[Any]) -> None:
        """Look for the network's tensors: moving it to another device makes new ones."""
        self._tensors = dict([*self.network.named_parameters(), *self.network.named_buffers()])

    def operator(
        self,
        place: Place,
        kind: OperatorKind,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """What the operator gives in int8, where it is one of those that were asked for."""
        if kind in QUANTIZED and place not in self._ranges.places:
            raise ConvertError(
                "simulated int8: the network must compute the same operators for every input, "
                f"got {place}, which had not been computed before; engines run one fixed graph"
            )
        site = self._sites.get(place)
        if site is None and place not in self._stored:
            return function(*args, **kwargs)
        written = args[0] if _in_place(function, kwargs) else None
        if written is not None:
            # What was there before may be needed for gradients.
            args = (written.clone(), *args[1:])
        if site is not None:
            args, kwargs = self.quantize_operands(site, args, kwargs)
        output = self.quantize_output(place, function(*args, **kwargs))
        return output if written is None else written.copy_(output)

    def quantize_operands(
        self, site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The arguments of an operator, on the grid."""
        leaves, structure = tree_flatten((args, dict(kwargs)))
        operands = iter(site.operands)
        for index, leaf in enumerate(leaves):
            if isinstance(leaf, torch.Tensor) and (operand := next(operands, None)) is not None:
                leaves[index] = self._quantize(site, operand, leaf)
        whole: tuple[tuple[Any, ...], Mapping[str, Any]] = tree_unflatten(leaves, structure)
        return whole

    def quantize_output(self, place: Place, output: Any) -> Any:
        """What `place` gives, on the grid where it is stored in int8."""
        if place not in self._stored or not isinstance(output, torch.Tensor):
            return output
        return self._on_grid(output, place)

    def _quantize(self, site: Site, operand: Operand, tensor: torch.Tensor) -> torch.Tensor:
        if operand.weight is not None:
            return self._quantize_weight(site, tensor, operand.weight)
        if operand.value is not None:
            return self._on_grid(tensor, operand.value)
        low, high = (float(one) for one in torch.aminmax(tensor.detach()))
        return on_activation_grid(tensor, low, high) if _finite(low, high) else tensor

    def _quantize_weight(self, site: Site, weight: torch.Tensor, axis: int) -> torch.Tensor:
        if site.fold is None:
            return on_weight_grid(weight, axis, self._levels)
        variance, scale, epsilon = site.fold
        factor = (self._tensors[variance].detach() + epsilon).rsqrt()
        if scale:
            factor = factor * self._tensors[scale].detach()
        if len(factor) != weight.shape[axis]:  # a transposed convolution in groups
            return on_weight_grid(weight, axis, self._levels)
        # A channel that the batch norm multiplies by zero is what is added to it, in any grid.
        factor = torch.where(factor == 0, 1.0, factor)
        factor = factor.reshape([-1 if one == axis else 1 for one in range(weight.dim())])
        # The batch norm itself still follows, so that what is folded in is taken out again.
        return on_weight_grid(weight * factor, axis, self._levels) / factor

    def _on_grid(self, tensor: torch.Tensor, value: Place) -> torch.Tensor:
        low, high = self._ranges.limits.get(value, (0.0, 0.0))  # no value was ever seen
        # Where a range has no end, as with a mask of minus infinity, engines stay in float.
        return on_activation_grid(tensor, low, high) if _finite(low, high) else tensor


def _stored(sites: Iterable[Site]) -> set[Place]:
    """Where what is computed is stored in int8, for whoever reads it: what `sites` read or give."""
    read = {one.value for site in sites for one in site.operands if one is not None}
    return {place for place in read | {site.end for site in sites} if place is not None}


def _finite(low: float, high: float) -> bool:
    return abs(low) < float("inf") and abs(high) < float("inf")


def _in_place(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    name = str(getattr(function, "__name__", ""))
    dunder = name.startswith("__")
    return (
        (name.startswith("__i") and name != "__index__")
        or (name.endswith("_") and not dunder)
        or bool(kwargs.get("inplace"))
    )
