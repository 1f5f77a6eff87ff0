"""Values of very different size in one output, such as boxes in pixels and scores in 0..1."""

from collections.abc import Iterator

from torch.fx import Node

from edgeprep.conversion.killers.finding import Finding, quote
from edgeprep.conversion.killers.observed import SAME_VALUES, Observed, kind, path_of

__all__ = ["find_joined_outputs"]

# One scale for both leaves the smaller one fewer than 16 of 255 levels: four bits.
_FACTOR = 16.0


def find_joined_outputs(network: Observed) -> Iterator[Finding]:
    """Concatenations that reach an output, of tensors that differ by a large factor."""
    for node in _joins(network.output_nodes):
        sizes = [
            network.seen[part.name].largest
            for part in node.all_input_nodes
            if part.name in network.seen
        ]
        sizes = sorted(size for size in sizes if size > 0)
        if len(sizes) < 2 or sizes[-1] < _FACTOR * sizes[0]:
            continue
        yield Finding(
            killer="joined-outputs",
            paths=(path_of(node),),
            measured=f"joins {len(sizes)} tensors that reach {quote(sizes)} into one output, of "
            f"which one scale leaves the smallest {255 * sizes[0] / sizes[-1]:.1f} of 255 levels",
            # No keep_float: what is joined has one scale in TFLite, whoever computes it.
            remedy="return them as outputs of their own, or bring them to one range before",
        )


def _joins(outputs: tuple[Node, ...]) -> list[Node]:
    """The concatenations whose values reach an output as they are."""
    found: dict[Node, None] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if kind(node) in ("cat", "concat", "concatenate", "stack"):
            found[node] = None
        if node in found or kind(node) in SAME_VALUES:
            waiting += node.all_input_nodes
    return list(found)
