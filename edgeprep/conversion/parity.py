"""The parity gate: an exported variant computes what the source computes, or there is none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Parity
from edgeprep.errors import ParityError
from edgeprep.interfaces import CALIBRATED, Precision, Runner, Task
from edgeprep.runtime.golden import worst_part
from edgeprep.runtime.memory import answer
from edgeprep.runtime.outputs import all_finite
from edgeprep.tensors import TensorSpec

__all__ = [
    "TOLERANCE",
    "TYPICAL",
    "check_finite",
    "check_oracle",
    "measure_clips",
    "measure_parity",
]

Outputs = tuple[NDArray[Any], ...]

# Of the worst sample, relative to its largest output. fp32: engines sum in other orders, which
# costs 1e-6 a layer. fp16: 11 bits of mantissa, 5e-4 an operation. int8: 0.02 to 0.04 for the
# trained network of the model zoo; untrained ones of one to fifty layers came to 0.33, and one that
# has 2048 outputs to 0.54 at the worst of them. Of the other ways to int8, on the zoo's network, a
# small one, one like MobileNetV2 and a transformer, in three formats: activations in 16 bits 0.005
# to 0.024 where those in 8 had 0.009 to 0.047, ranges of the moment 0.004 to 0.039, weights alone
# 0.004 to 0.024, which leaves room for untrained ones as above. bf16: 8 bits of mantissa; 0.005 to
# 0.012.
TOLERANCE: dict[Precision, float] = {
    "fp32": 1e-4,
    "fp16": 2e-2,
    "bf16": 0.1,
    "int8": 0.5,
    "int8-int16": 0.5,
    "int8-dynamic": 0.5,
    "int8-weight-only": 0.25,
}
# Of half of the samples. The same networks, in three formats, came to 0.13, and to 0.24 in one case
# (MobileNetV2 with random weights); what is dead or another network is off by 1 or more. What int8
# costs is for the budget to limit, on evaluation data; this is all that there is without them.
TYPICAL: dict[Precision, float] = TOLERANCE | {
    "int8": 0.3,
    "int8-int16": 0.3,
    "int8-dynamic": 0.3,
    "int8-weight-only": 0.15,
}

# Outputs below this are rounding noise of float32 and prove nothing.
_SMALLEST_OUTPUT = 1e-5
# Outputs that differ less between samples than ten times what parity allows could come from a
# network that ignores its input.
_SMALLEST_VARIATION = 10 * TOLERANCE["fp32"]


def check_finite(outputs: Sequence[Outputs]) -> None:
    """Refuse a source that gives no numbers for some of the samples.

    Raises:
        ParityError: for one of `outputs`, one tuple a sample.
    """
    broken = [index for index, output in enumerate(outputs) if not all_finite(output)]
    if broken:
        raise ParityError(
            f"parity: source outputs must be finite, got NaN or infinity for {len(broken)} of "
            f"{len(outputs)} samples, the first is sample {broken[0]}; "
            "check the weights and the preprocessing"
        )


def check_oracle(expected: Sequence[Outputs], outputs: Sequence[TensorSpec], task: Task) -> None:
    """Refuse reference outputs that almost any network would match.

    Args:
        expected: the source's outputs, one tuple a sample.
        outputs: their types; messages name them.
        task: says what of them has a magnitude of its own.

    Raises:
        ParityError: an output, or a part of it, is not finite, next to nothing, or the same for
            all samples; or there is but one sample.
    """
    if len(expected) < 2:
        raise ParityError(
            f"parity: must be proved on at least 2 held-out samples, got {len(expected)}; "
            "from one it cannot be seen whether the network sees its input"
        )
    for spec, samples in zip(outputs, zip(*expected, strict=True), strict=True):
        _check_values(samples, f"parity: source output {spec.name!r}")
    for same in zip(*map(task.compared, expected), strict=True):
        part = same[0]
        # NOTE: candidates may all be of one class.
        if part.name and np.issubdtype(part.values.dtype, np.floating):
            where = f"parity: {part.name} in source output {outputs[part.output].name!r}"
            _check_values([each.values for each in same], where)


def _check_values(samples: Sequence[NDArray[Any]], where: str) -> None:
    output = np.stack(samples).astype(np.float64)
    largest = float(np.max(np.abs(output)))
    variation = float(np.max(np.ptp(output, axis=0)))
    if not np.isfinite(largest):
        raise ParityError(
            f"{where} must be finite, got NaN or infinity; check the weights and the preprocessing"
        )
    if largest < _SMALLEST_OUTPUT:
        raise ParityError(
            f"{where} must reach {_SMALLEST_OUTPUT}, got {largest:.2g} at most; "
            "a comparison of such numbers proves nothing: are these trained weights?"
        )
    if variation < _SMALLEST_VARIATION * largest:
        raise ParityError(
            f"{where} must differ between samples by {_SMALLEST_VARIATION:.0e} of its size, "
            f"got {variation / largest:.1e}; a comparison proves nothing: "
            "does the network see its input?"
        )


def measure_parity(
    name: str,
    runner: Runner,
    precision: Precision,
    inputs: Sequence[Outputs],
    expected: Sequence[Outputs],
    task: Task,
) -> Parity:
    """How closely `runner` reproduces the source on `inputs`.

    Args:
        name: the variant, for messages.
        runner: the loaded variant.
        precision: what the variant computes in; it decides what is allowed.
        inputs: all inputs of the graph each; states are those of the source.
        expected: the source's outputs for each.
        task: says what of the outputs has a magnitude of its own.

    Raises:
        ParityError: the relative error of a sample is above `TOLERANCE[precision]`, or that of
            half of them above `TYPICAL[precision]`.
    """
    errors, max_abs = list[tuple[float, str]](), 0.0
    for feed, wanted in zip(inputs, expected, strict=True):
        outputs = runner.run(feed)
        errors.append(worst_part(outputs, wanted, task))
        for got, output in zip(outputs, wanted, strict=True):
            if got.shape == output.shape:
                max_abs = max(max_abs, float(np.max(np.abs(got.astype(np.float64) - output))))
    (relative, part), typical = max(errors), _median(errors)
    said = f"{name}: must agree with the source within"
    if not relative <= TOLERANCE[precision]:
        raise ParityError(
            f"{said} {TOLERANCE[precision]:.0e} of {_largest(part)}, got {relative:.2e} on "
            f"{len(inputs)} samples{_apart(part, precision)}"
        )
    if not typical <= TYPICAL[precision]:
        raise ParityError(
            f"{said} {TYPICAL[precision]:.0e} of {_largest(part)} on half of the samples, got "
            f"{typical:.2e} as the median of {len(inputs)}; give more calibration samples, or keep "
            f"sensitive layers in float with target.keep_float{_apart(part, precision)}"
        )
    return Parity(max_abs=max_abs, relative=relative, samples=len(inputs), reference="source")


def measure_clips(
    name: str,
    runner: Runner,
    precision: Precision,
    clips: Sequence[tuple[NDArray[np.uint8], Outputs]],
    states: Sequence[TensorSpec],
    task: Task,
) -> float:
    """How far `runner` is from the source at the end of whole clips, with its own states.

    What is a little off in each frame adds up in the states: that shows in no single frame.

    Args:
        name: the variant, for messages.
        runner: the loaded variant.
        precision: what the variant computes in; it decides what is allowed.
        clips: each with the source's outputs, without new states.
        states: those of the graph.
        task: says what of the outputs has a magnitude of its own.

    Raises:
        ParityError: a clip is off by more than `TOLERANCE[precision]` of its largest output, or
            half of them by more than `TYPICAL[precision]`.
    """
    errors = [worst_part(answer(runner.run, clip, states), wanted, task) for clip, wanted in clips]
    (worst, part), typical = max(errors), _median(errors)
    said = f"{name}: must agree with the source within"
    cause = (
        "what is off in each frame adds up in the states: keep the layers that make them in "
        "float, with target.keep_float"
    )
    if not worst <= TOLERANCE[precision]:
        frames = len(clips[errors.index((worst, part))][0])
        raise ParityError(
            f"{said} {TOLERANCE[precision]:.0e} of {_largest(part)} at the end of a clip of "
            f"{frames} frames, got {worst:.2e}; {cause}"
        )
    if not typical <= TYPICAL[precision]:
        raise ParityError(
            f"{said} {TYPICAL[precision]:.0e} of {_largest(part)} at the end of half of the "
            f"clips, got {typical:.2e} as the median of {len(clips)}; {cause}"
        )
    return worst


def _median(errors: Sequence[tuple[float, str]]) -> float:
    return float(np.median([error for error, _ in errors]))


def _largest(part: str) -> str:
    """What a difference counts beside, in words."""
    return f"the largest of its {part}" if part else "its largest output"


def _apart(part: str, precision: Precision) -> str:
    """What else may help a part of an output."""
    if not part or precision not in CALIBRATED:
        return ""
    return f"; what shares an output shares its steps: let the network give {part} by themselves"
