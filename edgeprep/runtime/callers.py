"""Several pictures answered at once, by threads, so that what answers is kept busy."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["answer_at_once"]


def answer_at_once(
    answer: Callable[[Sequence[NDArray[np.uint8]], Sequence[str]], Sequence[Any]],
    pictures: Sequence[NDArray[np.uint8]],
    places: Sequence[str],
    *,
    size: int,
    callers: int,
) -> tuple[Any, ...]:
    """What `answer` gives for the pictures and their places, in their order.

    Args:
        answer: takes some in a row, and raises for the first that has no answer; may be called
            from several threads.
        pictures: at least one.
        places: of each, for messages.
        size: how many `answer` takes, at the most.
        callers: so many threads call it, at the most.

    Raises:
        Exception: what `answer` raises first, in the order of pictures; those behind that have not
            begun are left out.
    """
    parts = [slice(first, first + size) for first in range(0, len(pictures), size)]
    with ThreadPoolExecutor(min(callers, len(parts))) as pool:
        results = [pool.submit(answer, pictures[part], places[part]) for part in parts]
        try:
            return tuple(chain.from_iterable(result.result() for result in results))
        finally:
            for result in results:
                result.cancel()
