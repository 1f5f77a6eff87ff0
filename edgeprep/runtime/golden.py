"""Golden samples: inputs whose outputs a candidate must reproduce before it is used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import GoldenSamples, Variant
from edgeprep.errors import BackendWrongOutput
from edgeprep.interfaces import DeviceKind, Options, Runner, Task
from edgeprep.interfaces.compared import whole
from edgeprep.processor import is_x86
from edgeprep.runtime.outputs import all_finite

__all__ = [
    "allowed_error",
    "batch_error",
    "golden_error",
    "relative_error",
    "worst_part",
    "wrong_numbers",
]

# bf16 keeps 8 bits of the mantissa, so that each operation may be off by 2^-9, and a network by a
# few of those: what it costs has been scored, and this stops what is broken.
_REDUCED_TOLERANCE = 0.05
# CPUs sum integers exactly, and round the sums alike. Accelerators may do so in float16, where any
# value between two integer steps can fall on either: 6 % of the largest ones in each layer.
_INTEGER = ("int8", "int8-int16")
_ACCELERATOR_TOLERANCE = 0.1
# Kernels for other processors than those on which bundles are made, and those of tflite-runtime,
# round sums in ways of their own, a step up or down in each layer: of the zoo's variants in int8,
# most came to 0 and the others to 0.004 to 0.064, with the same labels; two, to 0.14 and 0.24, are
# rejected (tools/test-arm64).
_OWN_ROUNDING_TOLERANCE = 0.1


def allowed_error(variant: Variant, options: Options, kind: DeviceKind = "cpu") -> float:
    """The largest relative error on golden samples that `variant` may have, run with `options`.

    A reduced precision hint that was scored when the bundle was made may differ more; one that was
    not, as on a device that has nothing else, must reproduce the golden outputs like the rest.
    Integers are summed exactly everywhere, and rounded alike by the same engine on the same kind of
    processor only.

    Args:
        variant: of a bundle.
        options: of a candidate.
        kind: of the candidate's device.
    """
    allowed = variant.tolerance
    if variant.precision in _INTEGER:
        if kind != "cpu":
            allowed = max(allowed, _ACCELERATOR_TOLERANCE)
        elif options.get("rounding") == "own" or not is_x86():
            allowed = max(allowed, _OWN_ROUNDING_TOLERANCE)
    if options.get("precision") in variant.reduced:
        allowed = max(allowed, _REDUCED_TOLERANCE)
    return allowed


def wrong_numbers(error: float, allowed: float) -> BackendWrongOutput:
    """What is wrong with a candidate whose golden outputs are this far off."""
    return BackendWrongOutput(f"wrong numbers: relative error {error:.2g}, allowed {allowed:.2g}")


def golden_error(
    runner: Runner, golden: GoldenSamples, task: Task, samples: int | None = None
) -> float:
    """The largest relative error of `runner` on the first `samples` (None: on all).

    Where it computes several at once, every place of a batch counts as well: a call for one proves
    nothing about what is computed for many. Then pictures differ, if there are two that do.
    """
    singly = range(golden.count)[:samples]
    found = [
        relative_error(runner.run(golden.feed(index)), golden.expected(index), task)
        for index in singly
    ]
    if runner.batch > 1:
        found.append(batch_error(runner, golden, task))
    return max(found)


def batch_error(runner: Runner, golden: GoldenSamples, task: Task) -> float:
    """The largest relative error of `runner` on full batches that hold every golden sample."""
    batches = -(-golden.count // runner.batch)
    order = [index % golden.count for index in range(batches * runner.batch)]
    results = runner.run_together([golden.feed(index) for index in order])
    pairs = zip(results, order, strict=True)
    return max(relative_error(got, golden.expected(index), task) for got, index in pairs)


def relative_error(
    actual: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]], task: Task | None = None
) -> float:
    """The largest difference over the largest expected magnitude, of the worst output.

    Of whole numbers, which may be those of classes: the share of those that differ.

    Args:
        actual: what is judged.
        expected: what it should be.
        task: says which parts of outputs have a magnitude of their own; None: each is one.

    Returns:
        0 where all is the same. Infinity where shapes differ or a number is not finite, so that no
        comparison lets it pass.
    """
    return worst_part(actual, expected, task)[0]


def worst_part(
    actual: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]], task: Task | None
) -> tuple[float, str]:
    """The `relative_error`, and the name of the part of an output that has it; "" for a whole."""
    shapes = [got.shape for got in actual]
    if shapes != [wanted.shape for wanted in expected] or not all_finite(actual):
        return float("inf"), ""
    cut = whole if task is None else task.compared
    pairs = zip(cut(tuple(actual)), cut(tuple(expected)), strict=True)
    errors = ((_error(got.values, wanted.values, wanted.least), got.name) for got, wanted in pairs)
    return max(errors, default=(0.0, ""))


def _error(got: NDArray[Any], wanted: NDArray[Any], least: float) -> float:
    if np.issubdtype(wanted.dtype, np.integer):
        return float(np.mean(got != wanted)) if wanted.size else 0.0
    difference = float(np.max(np.abs(got.astype(np.float64) - wanted), initial=0.0))
    if not np.isfinite(difference):
        return float("inf")
    if not difference:
        return 0.0
    scale = max(float(np.max(np.abs(wanted), initial=0.0)), least)
    return difference / scale if scale else float("inf")
