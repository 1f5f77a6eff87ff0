"""Whether the dependency graph is right about a network: channels are removed from a copy.

A channel that nothing reads can go without any change to what the network returns. So a copy is
made whose layers neither fill nor read half of the channels, and has to return the same once these
are gone. It does not where the graph believes that a channel stays at its index while the network
shuffles, cuts or reshapes it, or where it takes a mean over channels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edgeprep.compress._groups import Group, Item, NetworkGraph
from edgeprep.errors import ConvertError
from edgeprep.schema.foreign import name_fault
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs

__all__ = ["find_fixed"]

Example = tuple[torch.Tensor, ...]
# What a mistake changes is a share of what the channels themselves changed, and may be a small one,
# as in a softmax over scores that hardly differ. Rounding changes less: of these two, by dtype, the
# share of the change, and that of the outputs. Some networks compute a softmax in float32 always.
_ALLOWED = {torch.float64: (1e-5, 1e-9), torch.float32: (1e-3, 1e-5)}


def find_fixed(
    network: torch.nn.Module,
    example: Example,
    groups: Sequence[Group],
    states: Sequence[TensorSpec] = (),
) -> Mapping[str, str]:
    """The groups that cannot be pruned though the graph says so: paths, each with the reason.

    Args:
        network: stays as it is.
        example: all that it takes, `(1, …)` each.
        groups: those to try, of the network's graph.
        states: see `NetworkGraph`.
    """
    reason = _try(network, example, groups, states) if groups else ""
    if not reason:
        return {}
    if len(groups) == 1:
        return {groups[0].path: reason}
    half = len(groups) // 2
    found = {
        **find_fixed(network, example, groups[:half], states),
        **find_fixed(network, example, groups[half:], states),
    }
    # Each half is right and both together are not: neither can be told to be the wrong one.
    return found or {group.path: reason for group in groups}


def _try(
    network: torch.nn.Module,
    example: Example,
    groups: Sequence[Group],
    states: Sequence[TensorSpec],
) -> str:
    """Why `groups` cannot lose channels; "" where they can."""
    try:
        dtype = torch.float64
        trial = _copy(network, dtype)
        graph = NetworkGraph(trial, _at(example, dtype), states)
    except ConvertError:  # a network that computes in float32 by its own word
        dtype = torch.float32
        trial = _copy(network, dtype)
        graph = NetworkGraph(trial, example, states)
    example = _at(example, dtype)
    paths = {group.path for group in groups}
    chosen = [
        (group, _half(group.units))
        for group in graph.groups
        if group.path in paths and group.units > 1
    ]
    with torch.no_grad(), _WithoutStatistics():
        before = _outputs(trial, example)
        try:
            for group, units in chosen:
                for item in graph.items(group, units):
                    _mask(item)
            expected = _outputs(trial, example)
            for group, units in chosen:
                graph.remove(group, units)
            found = _outputs(trial, example)
        # Both the library and the user's forward raise what they like at wrong shapes.
        except Exception as error:  # noqa: BLE001
            return f"the network does not run without them, {name_fault(error)}"
    return _difference(before, expected, found, *_ALLOWED[dtype])


def _half(units: int) -> list[int]:
    """Half of them, here and there: neighbours alone would hide some mistakes."""
    order = torch.randperm(units, generator=torch.Generator().manual_seed(units))
    return sorted(order[: units // 2].tolist())


def _difference(
    before: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    found: Sequence[torch.Tensor],
    share: float,
    rounding: float,
) -> str:
    for old, wanted, given in zip(before, expected, found, strict=True):
        if wanted.shape != given.shape:
            return f"what the network returns becomes {tuple(given.shape)}"
        change = float((wanted - old).abs().max())
        allowed = share * change + rounding * float(wanted.abs().max())
        # NOTE: not `error > allowed`, which NaN would pass.
        if not float((given - wanted).abs().max()) <= allowed:
            return "they are shuffled, cut or averaged on their way to the layers that read them"
    return ""


def _copy(network: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """A copy in which no weight is 0, as fresh networks have some that would hide all others."""
    copy = deepcopy(network).to(dtype).requires_grad_()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in copy.parameters():
            size = float(parameter.square().mean().sqrt()) or 1.0
            noise = torch.randn(parameter.shape, generator=random, dtype=dtype)
            parameter.add_(noise, alpha=0.3 * size)
    return copy


def _at(example: Example, dtype: torch.dtype) -> Example:
    return tuple(one.to(dtype) for one in example)


def _outputs(network: torch.nn.Module, example: Example) -> list[torch.Tensor]:
    return [value.double() for value in flatten_outputs(network(*example)).values()]


def _mask(item: Item) -> None:
    """Set to 0 what fills or reads the channels of `item`."""
    layer, indices = item.layer, torch.tensor(item.indices)
    if isinstance(layer, torch.nn.Parameter):
        layer.index_fill_(item.dimension, indices, 0.0)
        return
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, torch.nn.Parameter) or isinstance(layer, torch.nn.PReLU):
        return
    if isinstance(layer, torch.nn.Embedding):
        weight.index_fill_(1, indices, 0.0)
    elif item.outgoing:
        axis = 1 if getattr(layer, "transposed", False) else 0
        weight.index_fill_(axis, indices, 0.0)
        if isinstance(bias := getattr(layer, "bias", None), torch.nn.Parameter):
            bias.index_fill_(0, indices, 0.0)
    elif getattr(layer, "groups", 1) == 1:
        axis = 0 if getattr(layer, "transposed", False) else 1
        weight.index_fill_(axis, indices, 0.0)


class _WithoutStatistics(TorchFunctionMode):
    """Inside, normalizations that look at all channels of a sample scale and shift, and no more.

    They take what is left for the whole when channels go, which is no mistake of the graph.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in (functional.layer_norm, functional.rms_norm):
            return _scaled(*args, **given)
        if func is functional.group_norm:
            return _scaled_channels(*args, **given)
        return func(*args, **given)


def _scaled(
    input: torch.Tensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float | None = None,
) -> torch.Tensor:
    if tuple(normalized_shape) != tuple(input.shape[input.ndim - len(normalized_shape) :]):
        raise ValueError(f"a norm of {tuple(normalized_shape)} got {tuple(input.shape)}")
    scaled = input if weight is None else input * weight
    return scaled if bias is None else scaled + bias


def _scaled_channels(
    input: torch.Tensor,
    num_groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 0.0,
) -> torch.Tensor:
    def shaped(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values.reshape(-1, *[1] * (input.ndim - 2))

    return _scaled(input, (), shaped(weight), shaped(bias))
