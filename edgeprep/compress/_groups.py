"""Which channels of a network can only go together, and their removal: the dependency graph."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch_pruning import ops  # type: ignore[import-untyped]
from torch_pruning.dependency import DependencyGraph  # type: ignore[import-untyped]

from edgeprep.compress._closure import Closure, Drifting, close
from edgeprep.compress._heads import Attention, find_attentions, shrink_attention
from edgeprep.compress._remembering import PRUNERS, Remembering, State
from edgeprep.errors import ConvertError
from edgeprep.schema import name_first
from edgeprep.schema.foreign import name_fault
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs

__all__ = ["Group", "Item", "NetworkGraph"]

_RETURNED = "what the network returns"
_REMEMBERED = "is remembered with them, whose shape the recipe says"
_NAMED = 2  # so many states are named; the rest are counted
_NOT_FOLLOWED = "they are shuffled, cut or repeated on their way to the layers that read them"


@dataclass(frozen=True, slots=True)
class Group:
    """Channels of several layers that can only go together.

    Attributes:
        path: of the layer that it is named after; "" for none that can be named.
        channels: how many that layer has.
        size: how many of them make one unit, which goes whole: one, or as many as the layers'
            convolution groups, or a head's.
        layers: paths of the layers whose outputs these channels are.
        attention: the path of the attention whose heads the units are, if they are.
        fixed: why all of them stay; "" where some may go.
    """

    path: str
    channels: int
    size: int
    layers: tuple[str, ...]
    attention: str | None = None
    fixed: str = ""

    @property
    def units(self) -> int:
        """How many units there are."""
        return self.channels // self.size

    @property
    def returned(self) -> bool:
        """Whether they are channels of what the network returns."""
        return self.fixed == _RETURNED

    def staying(self, reason: str) -> "Group":
        """The same group, all of whose channels stay for a `reason`."""
        return replace(self, fixed=reason)

    def indices(self, units: Sequence[int]) -> list[int]:
        """The channels of `units`, in order."""
        if self.attention is not None:
            return sorted(unit * self.size + k for unit in units for k in range(self.size))
        # Groups of a convolution lose the same ones, each of its own share.
        return sorted(unit + k * self.units for unit in units for k in range(self.size))


@dataclass(frozen=True, slots=True)
class Item:
    """The channels of one layer that go with a group's.

    Attributes:
        layer: a module, or a parameter that belongs to none of torch's.
        outgoing: whether they are channels of what it gives, and not of what it takes.
        dimension: of a parameter.
        indices: which of them.
    """

    layer: torch.nn.Module | torch.nn.Parameter
    outgoing: bool
    dimension: int
    indices: list[int]


class NetworkGraph:
    """The dependency graph of one network, which its pruning changes along with it.

    Args:
        network: in eval mode, with parameters that require gradients, by which it is traced.
        example: all that it takes, `(1, …)` each.
        states: what of that are states, the last ones; their channels stay.

    Attributes:
        groups: all groups of channels, those that cannot go with the reason.

    Raises:
        ConvertError: the network cannot be traced.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        example: tuple[torch.Tensor, ...],
        states: Sequence[TensorSpec] = (),
    ) -> None:
        self._network = network
        self._whole = Remembering(network, states) if states else None
        try:
            with torch.enable_grad():
                self._graph: Any = DependencyGraph().build_dependency(
                    self._whole or network,
                    example_inputs=example,
                    # Otherwise it tries several ways, and hides what the first one raised.
                    forward_fn=lambda called, given: called(*given),
                    customized_pruners=PRUNERS if states else None,
                    output_transform=_traced,
                    verbose=False,
                )
        except (Exception, SystemExit) as error:  # the user's forward, and the library's asserts
            raise ConvertError(
                "prune: the network must run with gradients, by which it is traced, "
                f"got {name_fault(error)}"
            ) from error
        self._paths = {module: path for path, module in network.named_modules()}
        self._most = 1 + max(map(self._count, self._graph.module2node), default=0)
        self._roots: dict[str, tuple[torch.nn.Module, Any]] = {}
        self.groups = tuple(self._find())

    def _find(self) -> Iterator[Group]:
        attentions = find_attentions(self._network)
        seen: set[torch.nn.Module] = set()
        for module in list(self._graph.module2node):
            if module in seen or not isinstance(module, ops.TORCH_CONV | torch.nn.Linear):
                continue
            pruner = self._graph.get_pruner_of_module(module)
            self._roots[self._paths[module]] = (module, pruner.prune_out_channels)
            channels = pruner.get_out_channels(module)
            group = Group(path=self._paths[module], channels=channels, size=1, layers=())
            seen.add(module)
            try:
                found = self._close(group, range(channels))
                seen.update(
                    item.dep.target.module for item in found.group if self._is_outgoing(item.dep)
                )
                group = self._describe(group, found, self._attention_of(found.group, attentions))
            except Drifting:
                group = group.staying(_NOT_FOLLOWED)
            yield group

    def _describe(self, group: Group, found: Closure, attention: Attention | None) -> Group:
        if attention is not None and attention.parts > 1:
            found = self._from_behind(group, found)
        items = found.group
        group = replace(
            group,
            channels=len(items[0].idxs),
            attention=None if attention is None else attention.path,
            layers=tuple(
                self._paths[item.dep.target.module]
                for item in items
                if item.dep.target.module in self._paths and self._is_outgoing(item.dep)
            ),
        )
        if states := sorted({*map(self._state_of, items)} - {""}):
            return group.staying(f"{name_first(_NAMED, states)} {_REMEMBERED}")
        if any(map(self._is_returned, items)):
            return group.staying(_RETURNED)
        for item in items:
            if isinstance(item.dep.target.module, torch.nn.MultiheadAttention):
                return group.staying(
                    f"{self._paths[item.dep.target.module]!r} is a torch.nn.MultiheadAttention, "
                    "whose heads share all of its width"
                )
        if found.clash:
            return group.staying(_NOT_FOLLOWED)
        return self._cut(group, items, attention)

    def _cut(self, group: Group, items: Any, attention: Attention | None) -> Group:
        """`group` with the size of its units."""
        sizes = {self._groups_of(item) for item in items} - {1}
        if attention is not None:
            if sizes or group.channels % attention.heads:
                return group.staying(f"its channels are no {attention.heads} heads of one size")
            return replace(group, size=group.channels // attention.heads)
        size = max(sizes, default=1)
        if any(size % other for other in (*sizes, 1)) or group.channels % size:
            return group.staying(f"it is cut into {' and '.join(map(str, sorted(sizes)))} groups")
        return replace(group, size=size)

    def _attention_of(self, found: Any, attentions: Mapping[str, Attention]) -> Attention | None:
        for item in found:
            path = self._paths.get(item.dep.target.module, "")
            if path in attentions and self._is_outgoing(item.dep):
                return attentions[path]
        return None

    def _from_behind(self, group: Group, found: Closure) -> Closure:
        """The same from the layer behind an attention, whose channels are those of its heads."""
        for item in found.group:
            behind = item.dep.target.module
            if isinstance(behind, torch.nn.Linear) and not self._is_outgoing(item.dep):
                self._roots[group.path] = (behind, item.dep.handler)
                return self._close(group, range(behind.in_features))
        return found

    def _close(self, group: Group, indices: Sequence[int]) -> Closure:
        module, prune = self._roots[group.path]
        return close(self._graph, module, prune, indices, self._most)

    def _count(self, module: torch.nn.Module) -> int:
        counts = (self._graph.get_out_channels(module), self._graph.get_in_channels(module))
        return max(count or 0 for count in counts)

    def _groups_of(self, item: Any) -> int:
        module = item.dep.target.module
        if isinstance(module, torch.nn.GroupNorm):
            return module.num_groups
        if isinstance(module, ops.TORCH_CONV) and module.groups != module.out_channels:
            return int(module.groups)
        return 1

    def _is_outgoing(self, dep: Any) -> bool:
        return bool(self._graph.is_out_channel_pruning_fn(dep.handler))

    def _is_returned(self, item: Any) -> bool:
        node = item.dep.target
        return node.type == ops.OPTYPE.OUTPUT or (
            self._is_outgoing(item.dep) and not node.outputs and node.type != ops.OPTYPE.PARAMETER
        )

    def _state_of(self, item: Any) -> str:
        """The state that an item's channels are of; "" for none."""
        node = item.dep.target
        if isinstance(node.module, State):
            return node.module.name
        return "" if self._whole is None else self._whole.names.get(node.grad_fn, "")

    def all_of(self, group: Group) -> Any:
        """All channels of `group`, as the library's importances take them."""
        return self._close(group, range(group.channels)).group

    def items(self, group: Group, units: Sequence[int]) -> list[Item]:
        """What goes with `units` of `group`, layer by layer."""
        found = self._close(group, group.indices(units)).group
        return [
            Item(
                layer=item.dep.target.module,
                outgoing=self._is_outgoing(item.dep),
                dimension=item.dep.target.pruning_dim,
                indices=item.idxs,
            )
            for item in found
        ]

    def remove(self, group: Group, units: Sequence[int]) -> None:
        """Remove `units` of `group` from the network, which is changed in its place."""
        found = self._close(group, group.indices(units)).group
        norms = [
            (item.dep.target.module, set(item.idxs))
            for item in found
            if isinstance(item.dep.target.module, torch.nn.LayerNorm)
        ]
        before = [(norm, gone, norm.weight, norm.bias) for norm, gone in norms]
        found.prune(record_history=False)
        for norm, gone, weight, bias in before:
            _select(norm, gone, weight, bias)
        if group.attention is not None:
            attention = self._network.get_submodule(group.attention)
            shrink_attention(attention, group.units - len(set(units)), group.size)


def _traced(outputs: object) -> list[torch.Tensor]:
    return [value for value in flatten_outputs(outputs).values() if value.grad_fn is not None]


def _select(
    norm: torch.nn.LayerNorm,
    gone: set[int],
    weight: torch.nn.Parameter | None,
    bias: torch.nn.Parameter | None,
) -> None:
    # NOTE: the library selects them as well, but in the order in which a set gives numbers.
    for name, values in (("weight", weight), ("bias", bias)):
        if values is not None:
            kept = [index for index in range(len(values)) if index not in gone]
            setattr(norm, name, torch.nn.Parameter(values.detach()[kept]))
