"""Infinite or huge numbers that stand for "not this one", in masks and in padding."""

from collections.abc import Iterator
from math import isinf

from torch.fx import Node

from edgeprep.conversion.killers.finding import Finding
from edgeprep.conversion.killers.observed import Observed, kind, path_of

__all__ = ["find_huge_constants"]

# What such constants begin with; a step of eight bits is 39 then.
_HUGE = 1e4
# Where a constant gets into a tensor as it is. Clamps hold values in, and are no harm.
_PLACES = (
    *("add", "sub", "where", "masked_fill", "pad", "constant_pad_nd", "cat", "stack"),
    *("scaled_dot_product_attention", "index_put", "masked_scatter"),
)
# exp(-20) is 2e-9.
_FAR = 20.0


def find_huge_constants(network: Observed) -> Iterator[Finding]:
    """Operations that bring a constant above 1e4, or an infinite one, into a tensor."""
    for node in network.operations(*_PLACES, "mul"):
        if node.name not in network.dependent:
            continue
        constant = max(_constants(network, node), default=0.0)
        if constant < _HUGE or (kind(node) == "mul" and not _is_huge(network, node)):
            continue
        path = path_of(node)
        yield Finding(
            killer="huge-constant",
            paths=(path,),
            measured=f"{kind(node)} brings in {_name(constant)}{_beside(network, node)}",
            remedy=f"use a number that is just far enough{_suggest(network, node)}",
            keep_float=(path,) if path else (),
        )


def _constants(network: Observed, node: Node) -> Iterator[float]:
    """The size of every constant that `node` takes, infinity included."""
    # Shapes are in lists, and axes are small.
    scalars = [*node.args, *node.kwargs.values()]
    yield from (abs(float(value)) for value in scalars if isinstance(value, int | float))
    for taken in node.all_input_nodes:
        if taken.name in network.dependent or taken.name not in network.seen:
            continue
        seen = network.seen[taken.name]
        yield float("inf") if seen.infinite else seen.largest


def _is_huge(network: Observed, node: Node) -> bool:
    """Whether a product was seen to be huge: 1e4 times 1e-4 is not."""
    seen = network.seen.get(node.name)
    return seen is not None and (seen.infinite or seen.largest >= _HUGE)


def _arriving(network: Observed, node: Node) -> tuple[float, float] | None:
    """The range of what `node` takes beside the constant."""
    known = [
        network.seen[taken.name]
        for taken in node.all_input_nodes
        if taken.name in network.dependent and taken.name in network.seen
    ]
    if not known:
        return None
    return min(seen.low for seen in known), max(seen.high for seen in known)


def _beside(network: Observed, node: Node) -> str:
    found = _arriving(network, node)
    return f" beside values in {found[0]:.3g}..{found[1]:.3g}" if found else ""


def _suggest(network: Observed, node: Node) -> str:
    found = _arriving(network, node)
    if found is None or max(map(abs, found)) >= _HUGE:
        return ""
    if "pad" in kind(node):
        return f", such as {min(found[0], 0.0):.3g}, the least that occurs"
    return f", such as {found[0] - _FAR:.0f}, which a softmax makes less than 1e-8"


def _name(constant: float) -> str:
    if isinf(constant):
        return "an infinity (no range holds it)"
    return f"a constant of {constant:.3g} (a step of eight bits is {constant / 255:.3g} then)"
