"""A network's score on held-out pictures, in torch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from edgeprep.data import Prepared
from edgeprep.data.decoded import Decoded
from edgeprep.interfaces import Task
from edgeprep.metrics import Metric
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs
from edgeprep.train.supply import as_tensors, in_batches
from edgeprep.train.unroll import through, unrolled

__all__ = ["answers", "in_eval_mode", "score_answers"]


def answers(
    network: torch.nn.Module,
    preprocessing: torch.nn.Module,
    samples: Prepared,
    chosen: Sequence[int],
    batch: int,
    states: Sequence[TensorSpec] = (),
) -> tuple[torch.Tensor, ...]:
    """The outputs of `network` for the samples with the numbers `chosen`, in their order.

    Args:
        network: in eval mode; it may be in half precision.
        preprocessing: the graph's share of it.
        samples: after the host's share.
        chosen: which of them.
        batch: how many at a time; clips of different lengths never are.
        states: what `network` takes after a picture; the samples are clips then, or where it takes
            clips.

    Returns:
        Each output, `(N, …)`, on the network's device.
    """
    first = next(network.parameters())
    preprocessing.to(first.device)
    whole = unrolled(network, states)
    parts = []
    with torch.no_grad():
        for some in in_batches(chosen, batch, lambda index: len(samples.picture(index))):
            pictures, _ = as_tensors(samples, np.asarray(some))
            inputs = through(preprocessing, pictures.to(first.device))
            outputs = flatten_outputs(whole(inputs.to(first.dtype))).values()
            parts.append([output.detach().float() for output in outputs])
    return tuple(torch.cat(output) for output in zip(*parts, strict=True))


def score_answers(
    outputs: Sequence[torch.Tensor], samples: Prepared, task: Task, metric: Metric
) -> float:
    """The metric of `outputs`, each `(samples, …)`, against the labels."""
    arrays = [output.cpu().numpy() for output in outputs]
    each = [tuple(array[at : at + 1] for array in arrays) for at in range(len(samples))]
    results = Decoded(task=task, outputs=each, samples=samples)
    return float(metric.score(results, samples.labels))


@contextmanager
def in_eval_mode(network: torch.nn.Module) -> Iterator[None]:
    """Inside, `network` is in eval mode; afterwards each of its modules is as it was."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
