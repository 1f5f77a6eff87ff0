"""How much quicker one network is than another, in the engine of a format."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeprep.conversion.plan import PlannedVariant
from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Precision, Runner
from edgeprep.runtime.timing import measure_burst, summarize

__all__ = ["latencies"]

_ROUNDS = 9


def latencies(
    planned: PlannedVariant,
    sources: Sequence[NetworkSource],
    image: NDArray[np.uint8],
    precision: Precision = "fp32",
) -> tuple[float, ...]:
    """The latency of each source, in milliseconds, measured in turns on one thread.

    Args:
        planned: gives the exporter and the backend; its own precision does not matter.
        sources: the networks to compare.
        image: `(1, H, W, C)`, uint8, what all of them take.
        precision: what they are exported in.

    Raises:
        ExportError: one of them cannot be written.
        BackendError: one of them cannot be run.
    """
    device = planned.backend.devices()[0]
    options = planned.backend.options(device, precision)[0]
    with ExitStack() as stack:
        runners = []
        for source in sources:
            model = planned.exporter.export(source, precision)
            runner = planned.backend.load(model, device, options)
            runners.append(stack.enter_context(closing(runner)))
        # In turns: whatever else the machine does disturbs all of them.
        rounds = [[_burst(runner, image) for runner in runners] for _ in range(_ROUNDS)]
    return tuple(summarize(bursts).median_ms for bursts in zip(*rounds, strict=True))


def _burst(runner: Runner, image: NDArray[np.uint8]) -> list[float]:
    return measure_burst(partial(runner.run, (image,)))
