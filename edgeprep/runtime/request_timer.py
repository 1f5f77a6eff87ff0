"""What is timed of a candidate: its engine, and the host where placements compete."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.burst import measure_burst
from edgeprep.interfaces import Options, Runner
from edgeprep.runtime.goals import Goal
from edgeprep.runtime.hosts import Host, camera_picture
from edgeprep.runtime.widths import width_of

__all__ = ["request_timer"]


def request_timer(
    runner: Runner,
    feed: tuple[NDArray[Any], ...],
    *,
    options: Options,
    goal: Goal,
    rival: Host | None,
    apart: bool,
) -> Callable[[], list[float]]:
    """What times a short run of requests, in milliseconds each.

    Args:
        runner: the candidate, loaded.
        feed: the inputs of one golden sample.
        options: the candidate's.
        goal: what the choice is for. For throughput, what counts is a picture's share.
        rival: what prepares pictures for it, where candidates have different ones; None: they have
            the same, which is not timed.
        apart: whether the engine is timed where it is, in a worker, and the host here.
    """
    # Writable, as frames are: engines share such memory and copy what is read-only.
    prepared, *states = (array.copy() for array in feed)
    is_busy, calls = goal == "throughput", width_of(options, "calls")
    alone = partial(runner.measure_burst, (prepared, *states))
    if is_busy:
        alone = partial(runner.measure_busy, (prepared, *states), calls)
    if rival is None:
        return alone
    host, picture = rival, camera_picture(rival.chain)
    if picture is None or len(prepared) > 1:  # of a clip, one frame is new each time
        return alone
    if not is_busy and not apart:
        return lambda: measure_burst(lambda: runner.run((host.prepare(picture), *states)))

    def with_share() -> list[float]:
        # Who calls prepares: what keeps one of them busy keeps the others from nothing.
        share = float(np.median(measure_burst(lambda: host.prepare(picture))))
        return [share / (calls if is_busy else 1) + ms for ms in alone()]

    return with_share
