"""The work of making networks sparse: masks, kept while the network learns."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch.nn.utils import parametrize

from edgeprep.compress.sparsify import Sparsify
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.interfaces import Workbench
from edgeprep.schema import name_first
from edgeprep.train.modules import inside, match_patterns

__all__ = ["sparsify"]

_NAMED = 3  # so many layers are named in a message; the rest are counted
_KEPT = "keep says so"
_TRANSPOSED = (
    torch.nn.ConvTranspose1d,
    torch.nn.ConvTranspose2d,
    torch.nn.ConvTranspose3d,
)
_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, *_TRANSPOSED)


class _Masked(torch.nn.Module):
    """A weight that is 0 wherever its mask is, whatever it learns."""

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask


def sparsify(settings: Sparsify, network: torch.nn.Module, bench: Workbench) -> torch.nn.Module:
    """See `Sparsify.apply`."""
    keep = match_patterns(network, settings.keep, "sparsify.keep")
    weights = {
        path: module.weight.detach()
        for path, module in network.named_modules()
        if isinstance(module, _LAYERS)
    }
    with bench.step("sparsify") as done:
        staying = {path: _why_not(settings, network, path, keep) for path in weights}
        chosen = {path: weight for path, weight in weights.items() if not staying[path]}
        if not chosen:
            told = _tell_layers(staying)
            remedy = "; keep less" if _KEPT in staying.values() else "; take another m, or ratio"
            raise ConvertError(
                "sparsify: must find layers that can be sparse, "
                f"got {told}{remedy if staying else ''}"
            )
        masks = _masks(settings, network, chosen)
        for path, mask in masks.items():
            weights[path].mul_(mask)
        done(f"{_tell_zeros(weights)} in {_tell_layers(staying)}")
    if settings.epochs:
        network = _fine_tune(settings, network, masks, bench)
    return network


def _why_not(settings: Sparsify, network: torch.nn.Module, path: str, keep: Sequence[str]) -> str:
    if inside(path, keep):
        return _KEPT
    layer = network.get_submodule(path)
    inputs = layer.get_parameter("weight").shape[_input_axis(layer)]
    if isinstance(layer, _TRANSPOSED):
        # Their weights hold the input channels of all groups, of which a filter reads one.
        inputs //= layer.groups
    if settings.m is not None and inputs % settings.m:
        return f"input channels that each filter reads are no multiple of {settings.m}"
    return ""


def _masks(
    settings: Sparsify, network: torch.nn.Module, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """For each weight, 1 where it stays and 0 where it goes."""
    if settings.n is not None and settings.m is not None:
        return {
            path: _strongest_of(network.get_submodule(path), weight, settings.n, settings.m)
            for path, weight in weights.items()
        }
    ratio = settings.ratio or 0.0
    if settings.scope == "uniform":
        masks = {path: _strongest(weight, ratio) for path, weight in weights.items()}
    else:
        flat = torch.cat([weight.flatten() for weight in weights.values()])
        mask, start = _strongest(flat, ratio), 0
        masks = {}
        for path, weight in weights.items():
            masks[path] = mask[start : start + weight.numel()].reshape(weight.shape)
            start += weight.numel()
    for path, mask in masks.items():
        if not mask.any():
            raise RecipeError(
                f"sparsify.ratio: must leave every layer a weight, got {ratio!r}, which leaves "
                f"none of {mask.numel()} in {path!r}; keep it"
            )
    return masks


def _strongest(weight: torch.Tensor, ratio: float) -> torch.Tensor:
    """1 for all but a `ratio` of the values, those nearest to 0."""
    # Sorted, and not compared with a threshold, so that of equal values as many go as should.
    order = weight.abs().flatten().argsort(stable=True)
    mask = torch.ones(weight.numel(), dtype=weight.dtype)
    mask[order[: round(ratio * weight.numel())]] = 0
    return mask.reshape(weight.shape)


def _strongest_of(layer: torch.nn.Module, weight: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """1 for the `n` largest of every `m` along the input channels."""
    axis = _input_axis(layer)
    last = weight.movedim(axis, -1).abs()
    blocks = last.reshape(*last.shape[:-1], -1, m)
    order = blocks.argsort(dim=-1, descending=True, stable=True)
    mask = torch.zeros_like(blocks).scatter_(-1, order[..., :n], 1.0)
    return mask.reshape(last.shape).movedim(-1, axis)


def _input_axis(layer: torch.nn.Module) -> int:
    return 0 if isinstance(layer, _TRANSPOSED) else 1


def _fine_tune(
    settings: Sparsify,
    network: torch.nn.Module,
    masks: Mapping[str, torch.Tensor],
    bench: Workbench,
) -> torch.nn.Module:
    for path, mask in masks.items():
        parametrize.register_parametrization(network.get_submodule(path), "weight", _Masked(mask))
    network = bench.fine_tune(
        network, name="sparse", epochs=settings.epochs, learning_rate=settings.learning_rate
    )
    for path in masks:
        parametrize.remove_parametrizations(network.get_submodule(path), "weight")
    return network


def _tell_zeros(weights: Mapping[str, torch.Tensor]) -> str:
    total = sum(weight.numel() for weight in weights.values())
    zeros = total - sum(int(weight.count_nonzero()) for weight in weights.values())
    return f"{zeros / total:.1%} of {total} weights are 0"


def _tell_layers(staying: Mapping[str, str]) -> str:
    """As in `3 of 4 layers; 'features.0' stays: keep says so`."""
    reasons = defaultdict(list)
    for path, reason in staying.items():
        if reason:
            reasons[reason].append(path)
    told = [f"{sum(not reason for reason in staying.values())} of {len(staying)} layers"]
    for reason, paths in reasons.items():
        told.append(f"{name_first(_NAMED, paths)} stay{'s' * (len(paths) == 1)}: {reason}")
    return "; ".join(told)
