"""Several pictures answered at once, each by a thread, so that what answers is kept busy."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["answer_at_once"]


def answer_at_once(
    answer: Callable[[NDArray[np.uint8], str], Any],
    pictures: Sequence[NDArray[np.uint8]],
    places: Sequence[str],
    *,
    callers: int,
) -> tuple[Any, ...]:
    """What `answer` gives for each picture and its place, in their order.

    Args:
        answer: may be called from several threads.
        pictures: at least one.
        places: of each, for messages.
        callers: so many threads call, at the most.

    Raises:
        Exception: what `answer` raises for the first picture that has no answer; those behind it
            that have not begun are left out.
    """
    with ThreadPoolExecutor(min(callers, len(pictures))) as pool:
        results = [pool.submit(answer, *pair) for pair in zip(pictures, places, strict=True)]
        try:
            return tuple(result.result() for result in results)
        finally:
            for result in results:
                result.cancel()
