"""Batch norms that no exporter can fold into a layer."""

from collections.abc import Iterator

from torch.fx import Node

from edgeprep.conversion.killers.finding import Finding
from edgeprep.conversion.killers.folding import folds_into
from edgeprep.conversion.killers.observed import Observed, kind, path_of

__all__ = ["find_loose_norms"]

_TRAINING = 5  # the argument of ATen's batch_norm


def find_loose_norms(network: Observed) -> Iterator[Finding]:
    """Batch norms that stay: those not behind a layer of their own, and those that still learn."""
    norms = list(network.operations("batch_norm"))
    learning = [node for node in norms if node.args[_TRAINING]]
    if learning:
        yield Finding(
            killer="loose-batch-norm",
            paths=_paths(learning),
            measured=f"{len(learning)} of {len(norms)} batch norms take their statistics from each "
            "picture anew, so that none of them folds into a layer",
            remedy="use the running statistics: eval mode, or training=False in a function",
        )
    loose = [node for node in norms if node not in learning and folds_into(node) is None]
    if loose:
        behind = sorted({_arriving(node) for node in loose})
        yield Finding(
            killer="loose-batch-norm",
            paths=_paths(loose),
            measured=f"{len(loose)} of {len(norms)} batch norms do not fold into a layer, as they "
            f"come behind {', '.join(behind)}: they stay, with one scale for channels that they "
            "stretch differently",
            remedy="put each right behind a convolution or linear layer whose output nothing else "
            "takes",
            keep_float=tuple(filter(None, _paths(loose))),
        )


def _paths(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path_of(node) for node in nodes))


def _arriving(norm: Node) -> str:
    before = norm.all_input_nodes[0]
    if len(before.users) > 1 and kind(before):
        return f"a {kind(before)} that others take, too"
    return kind(before) or "the input"
