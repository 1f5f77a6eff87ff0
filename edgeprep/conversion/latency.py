"""How much quicker one network is than another, in the engine of a format."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from numpy.typing import NDArray

from edgeprep.conversion.plan import PlannedVariant
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep.runtime.timing import measure_burst, summarize

__all__ = ["latencies"]

_ROUNDS = 9


def latencies(
    planned: PlannedVariant,
    models: Sequence[Model],
    feed: tuple[NDArray[Any], ...],
    precision: Precision = "fp32",
) -> tuple[float, ...]:
    """The latency of each model, in milliseconds, measured in turns on one thread.

    Args:
        planned: gives the backend; its own precision does not matter.
        models: of one format.
        feed: what all of them take: `(1, H, W, C)`, uint8, or a clip, and the states.
        precision: what they compute in.

    Raises:
        BackendError: one of them cannot be run.
    """
    device = planned.backend.devices()[0]
    options = planned.backend.options(device, precision)[0]
    with ExitStack() as stack:
        runners = []
        for model in models:
            runner = planned.backend.load(model, device, options)
            runners.append(stack.enter_context(closing(runner)))
        # In turns: whatever else the machine does disturbs all of them.
        rounds = [[_burst(runner, feed) for runner in runners] for _ in range(_ROUNDS)]
    return tuple(summarize(bursts).median_ms for bursts in zip(*rounds, strict=True))


def _burst(runner: Runner, feed: tuple[NDArray[Any], ...]) -> list[float]:
    return measure_burst(partial(runner.run, feed))
