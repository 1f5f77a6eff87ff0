"""How much quicker one network is than another, in the engine of a format."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeprep.conversion.plan import PlannedVariant
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep.runtime.timing import measure_burst, summarize

__all__ = ["latencies"]

_ROUNDS = 9


def latencies(
    planned: PlannedVariant,
    models: Sequence[Model],
    image: NDArray[np.uint8],
    precision: Precision = "fp32",
) -> tuple[float, ...]:
    """The latency of each model, in milliseconds, measured in turns on one thread.

    Args:
        planned: gives the backend; its own precision does not matter.
        models: of one format.
        image: `(1, H, W, C)`, uint8, what all of them take.
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
        rounds = [[_burst(runner, image) for runner in runners] for _ in range(_ROUNDS)]
    return tuple(summarize(bursts).median_ms for bursts in zip(*rounds, strict=True))


def _burst(runner: Runner, image: NDArray[np.uint8]) -> list[float]:
    return measure_burst(partial(runner.run, (image,)))
