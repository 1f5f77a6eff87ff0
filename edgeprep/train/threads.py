"""How many threads a training computes with: by the size of the network, not by the moment.

Another number of threads adds up in another order. What was measured on a busy machine would make
two trainings of one recipe differ. Where nothing is learned, the moment may choose:
`edgeprep.conversion.threads` measures.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["threads_for", "using_threads"]

# Operations of one picture from which threads are worth waking in every layer. On two busy cores
# two threads trained 2 to 3 times more slowly than one, from 3e6 to 3e8 operations (batches of 32);
# on two quiet ones a MobileNetV2, of 6e8, runs 1.9 times as fast with two.
_WORTH_WAKING = 5e8


def threads_for(network: torch.nn.Module, example: torch.Tensor) -> int:
    """One for a small network, else as many as torch has.

    Args:
        network: in eval mode.
        example: one input, `(1, …)`.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(example)
    return torch.get_num_threads() if counter.get_total_flops() >= _WORTH_WAKING else 1


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Inside, torch computes with `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
