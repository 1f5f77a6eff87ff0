"""How many threads torch should use: measured, because two are often slower than one.

The moment may choose, as nothing is learned here and roundings do not add up. A training asks
`edgeprep.train.threads`, which goes by the size of the network, and comes to the same weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

__all__ = ["fastest_threads"]

_CALLS = 3


@contextmanager
def fastest_threads(call: Callable[[], object]) -> Iterator[int]:
    """Inside, torch uses as many threads as made `call` fastest: one, or what it used before.

    Small networks lose more to waking the second thread than they win by it; on a machine with
    other work to do they lose ten times as much.
    """
    before = torch.get_num_threads()
    counts = sorted({1, before})
    times = {count: _fastest_call(call, count) for count in counts}
    torch.set_num_threads(min(counts, key=times.__getitem__))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _fastest_call(call: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    call()
    times = []
    for _ in range(_CALLS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    # The worst one: it is the waiting for a thread that does not come which is to be avoided.
    return max(times)
