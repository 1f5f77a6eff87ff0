"""The work of pruning: which channels can go, how many have to, and their removal step by step."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch

from edgeprep.compress._groups import Group, NetworkGraph
from edgeprep.compress._importance import collect_gradients, rank_units
from edgeprep.compress._search import find_fewest, find_speedup
from edgeprep.compress._share import Kept, Words, can_shrink, share_between, share_out
from edgeprep.compress._trial import find_fixed
from edgeprep.compress.prune import Prune
from edgeprep.data import warn
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.interfaces import Source, Workbench
from edgeprep.schema import name_first
from edgeprep.tensors import TensorSpec
from edgeprep.train.modules import inside, match_pattern, match_patterns
from edgeprep.train.outputs import flatten_outputs

__all__ = ["prune"]

_NAMED = 3  # so many layers are named in a message; the rest are counted
_DEAR = 0.5  # a share of parameters left, below which the speedup should be its inverse
_KEPT = "keep says so"
_ROUNDED = "is a multiple of"
_UNSCALED = "no batch normalization scales them"
# What would let channels go that stay for a reason with these words.
_REMEDIES = {_ROUNDED: "lower round_to", _KEPT: "keep less", _UNSCALED: "rank by 'l2'"}


def prune(
    settings: Prune, network: torch.nn.Module, bench: Workbench, *, words: Words | None = None
) -> torch.nn.Module:
    """See `Prune.apply`; `words` are of another key that asks for the same."""
    words = words or Words()
    keep = match_patterns(network, settings.keep, "prune.keep")
    limits = tuple(
        (match_pattern(network, pattern, f"prune.limits.{pattern}"), ratio)
        for pattern, ratio in settings.limits.items()
    )
    learning = {name: value.requires_grad for name, value in network.named_parameters()}
    example, states = _example(bench.source), bench.source.states
    shapes = _shapes(network, example)
    work = _Work(
        settings=settings, bench=bench, example=example, states=states, limits=limits, words=words
    )
    with bench.step("prune: find groups of channels") as done:
        groups = work.open(network, keep)
        free = [group for group in groups if not group.fixed]
        done(_tell(groups))
    if not free:
        rule = "must find channels that can go"
        remedy = _remedy(groups) if words.fixed is None else words.fixed
        raise ConvertError(f"prune: {rule}, got {_tell(groups)}{remedy}")
    kept = work.choose(network, free)
    for step in range(1, settings.steps + 1):
        title = f"prune: step {step} of {settings.steps}"
        with bench.step(title) as done:
            before = _count(network)
            part = share_between(free, kept, step / settings.steps, settings.round_to)
            network = work.shrink(network, kept if step == settings.steps else part)
            network = _restore(network, learning)
            done(f"{before} → {_count(network)} parameters")
        if settings.epochs:
            network = bench.fine_tune(
                network,
                name=f"step-{step}",
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
            )
    if (found := _shapes(network, example)) != shapes:
        raise ConvertError(f"prune: outputs must keep their shapes {shapes}, got {found}")
    return network


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What all parts of one pruning share."""

    settings: Prune
    bench: Workbench
    example: tuple[torch.Tensor, ...]
    states: Sequence[TensorSpec]
    limits: Sequence[tuple[Sequence[str], float]]
    words: Words

    def open(self, network: torch.nn.Module, keep: Sequence[str]) -> list[Group]:
        """The groups of channels, with the reason of each that stays."""
        network.requires_grad_()
        graph = NetworkGraph(network, self.example, self.states)
        groups = [self._checked(graph, group, keep) for group in graph.groups]
        free = [group for group in groups if not group.fixed]
        fixed = find_fixed(network, self.example, free, self.states)
        return [group.staying(fixed.get(group.path, group.fixed)) for group in groups]

    def _checked(self, graph: NetworkGraph, group: Group, keep: Sequence[str]) -> Group:
        if group.fixed:
            return group
        if any(inside(layer, keep) for layer in group.layers):
            return group.staying(_KEPT)
        if not can_shrink(group, self.settings.round_to):
            return group.staying(
                f"no lower count than {group.channels} {_ROUNDED} {self.settings.round_to}"
            )
        if self.settings.importance == "bn-scale" and rank_units(graph, group, "bn-scale") is None:
            return group.staying(_UNSCALED)
        return group

    def choose(self, network: torch.nn.Module, free: Sequence[Group]) -> Kept:
        """How many units each group keeps in the end."""
        settings = self.settings
        graph = NetworkGraph(network, self.example, self.states)
        ranks = self._rank(network, graph, free)

        def share(ratio: float, *, strict: bool = False) -> Kept:
            return share_out(
                free,
                ratio,
                scope=settings.scope,
                round_to=settings.round_to,
                limits=self._limits(free),
                ranks=ranks,
                strict=strict,
                words=self.words,
            )

        def shrunk(kept: Kept) -> torch.nn.Module:
            return self.shrink(deepcopy(network), kept).requires_grad_(requires_grad=False)

        if settings.ratio is not None:
            kept = share(settings.ratio, strict=True)
        elif settings.max_parameters is not None:
            if settings.max_parameters >= (most := _count(network)):
                raise RecipeError(
                    f"prune.max_parameters: must be below {most}, what the network has, "
                    f"got {settings.max_parameters!r}"
                )
            kept = find_fewest(share, lambda kept: _count(shrunk(kept)), settings.max_parameters)
        else:
            kept = find_speedup(share, shrunk, self.bench, settings.speedup or 1.0)
            self._warn(_count(shrunk(kept)) / _count(network), settings.speedup or 1.0)
        if all(kept[group.path] == group.units for group in free):
            raise RecipeError(
                f"prune: must remove channels, got 0 after rounding to {settings.round_to}"
                f"{self.words.rounded}"
            )
        return kept

    def _warn(self, left: float, speedup: float) -> None:
        """Tell of a share of parameters that is no fair price for what is gained."""
        if left < _DEAR and speedup < 1 / left:
            taken = f"prune: speedup {speedup:g} takes {1 - left:.0%} of the parameters"
            remedy = "engines gain little by fewer channels here: ask for less, or set ratio"
            warn(self.bench.step, f"{taken}; {remedy}")

    def _limits(self, groups: Sequence[Group]) -> dict[str, float]:
        return {
            group.path: min(
                ratio
                for paths, ratio in ((group.layers, 1.0), *self.limits)
                if any(inside(layer, paths) for layer in group.layers)
            )
            for group in groups
        }

    def _rank(
        self, network: torch.nn.Module, graph: NetworkGraph, groups: Sequence[Group]
    ) -> dict[str, torch.Tensor]:
        """How much each unit of each group matters now."""
        network.zero_grad()
        if self.settings.importance == "taylor":
            collect_gradients(network, self.bench, self.settings.samples)
        paths = {group.path for group in groups}
        ranks = {}
        for group in graph.groups:
            if group.path in paths:
                rank = rank_units(graph, group, self.settings.importance)
                ranks[group.path] = torch.ones(group.units) if rank is None else rank
        network.zero_grad()
        return ranks

    def shrink(self, network: torch.nn.Module, kept: Kept) -> torch.nn.Module:
        """`network`, in its place, with the most important units of each group alone."""
        network.requires_grad_()
        graph = NetworkGraph(network, self.example, self.states)
        losing = [g for g in graph.groups if kept.get(g.path, g.units) < g.units]
        ranks = self._rank(network, graph, losing)
        for group in losing:
            order = torch.argsort(ranks[group.path], stable=True).tolist()
            graph.remove(group, order[: group.units - kept[group.path]])
        return network


def _restore(network: torch.nn.Module, learning: Mapping[str, bool]) -> torch.nn.Module:
    """Parameters learn as they did before, and hold no gradients."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(learning[name])
        parameter.grad = None
    return network


def _example(source: Source) -> tuple[torch.Tensor, ...]:
    """All that one call of the network takes, noise: states of zeros would hide what reads them."""
    shapes = [source.sample_shape]
    if source.states:
        shapes = [spec.shape for spec in source.network_inputs]
    random = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=random) for shape in shapes)


def _shapes(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> list[tuple[int, ...]]:
    with torch.no_grad():
        return [tuple(value.shape) for value in flatten_outputs(network(*example)).values()]


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _tell(groups: Sequence[Group]) -> str:
    """As in `2 of 3 groups; 'features.4' stays: keep says so`."""
    inner = [group for group in groups if not group.returned]
    fixed = defaultdict(list)
    for group in inner:
        if group.fixed:
            fixed[group.fixed].append(group.path)
    stay = [
        f"{name_first(_NAMED, paths)} stay{'s' * (len(paths) == 1)}: {reason}"
        for reason, paths in fixed.items()
    ]
    free = sum(not group.fixed for group in inner)
    return "; ".join([f"{free} of {len(inner)} groups", *stay])


def _remedy(groups: Sequence[Group]) -> str:
    reasons = " ".join(group.fixed for group in groups)
    remedies = [remedy for words, remedy in _REMEDIES.items() if words in reasons]
    return f"; {', or '.join(remedies)}" if remedies else ""
