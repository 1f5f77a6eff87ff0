"""One variant: exported, loaded again, held to the source, scored."""

import dataclasses
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Measured, Parity, Variant
from edgeprep.conversion.parity import measure_clips, measure_parity
from edgeprep.conversion.plan import PlannedVariant
from edgeprep.conversion.repair import Trial, Tried
from edgeprep.conversion.score import Outputs, Scorer
from edgeprep.conversion.source import NetworkSource
from edgeprep.data.outputs_on_disk import outputs_on_disk
from edgeprep.errors import BackendError, EdgePrepError, ExportError, NonFiniteOutput
from edgeprep.interfaces import Model, Options, Precision, Runner
from edgeprep.runtime.memory import answer
from edgeprep.runtime.outputs import all_finite
from edgeprep.runtime.timing import measure_burst, summarize
from edgeprep.schema.foreign import name_fault
from edgeprep.tensors import TensorSpec

__all__ = ["MadeVariant", "Oracle", "make_variant", "score_hints"]

# What golden outputs may differ by on another machine, relative to the largest output. They are
# the variant's own, so that only the order of sums and the rounding of integer kernels differ; and
# for ranges of the moment, whether the processor has kernels that take them, or computes in float:
# 0.006 on a transformer. Weights alone in int8 are computed with in float, as fp32 is.
GOLDEN_TOLERANCE: dict[Precision, float] = {
    "fp32": 1e-3,
    "fp16": 2e-2,
    "bf16": 0.1,
    "int8": 0.1,
    "int8-int16": 0.1,
    "int8-dynamic": 0.1,
    "int8-weight-only": 1e-3,
}

# Processors sum integers exactly, but round what comes out in ways of their own, as do releases of
# an engine: that is as much as rounding to int8 itself costs, which parity has measured, or less.
# Of the zoo's networks in three formats, most are equal to the last bit with AVX-512, AVX2, SSE4
# and on Arm; the others came to 0.83 of that (a transformer in LiteRT on Arm), 0.67 and 0.51 (a
# classifier and a detector in tflite-runtime), and 0.4 and less.
_LEAST_INT8_TOLERANCE = 0.01

# Of some ms each: enough to see which of two trials is quicker.
_BURSTS = 3
# The drop under a hint that gives NaN: more than any budget allows.
_ALL_LOST = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """What variants of one placement are held to.

    Attributes:
        inputs: held-out inputs of the graph, all of them each.
        expected: the source's outputs for each.
        golden: inputs and the source's outputs for the samples that go into the bundle.
        scorer: scores a variant.
        source_score: what the source itself scores.
        sampled: the samples that a trial is scored on first, and what the source scores on them;
            none where there are few anyway.
        clips: of a network with states a few whole clips, and what the source answers to each.
    """

    inputs: Sequence[Outputs]
    expected: Sequence[Outputs]
    golden: Sequence[tuple[Outputs, Outputs]]
    scorer: Scorer
    source_score: float
    sampled: tuple[tuple[int, ...], float] = ((), 0.0)
    clips: Sequence[tuple[NDArray[np.uint8], Outputs]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeVariant:
    """A variant that passed the parity gate, before it is packed.

    Attributes:
        record: what the bundle says of it.
        model: its files.
        golden_outputs: what it gives for the golden inputs.
        latency_ms: of one picture, with the most exact options of its engine.
        trial: how it was quantized, where it is.
        trials: what was tried until it kept the budget, or in vain; () where it is not quantized.
    """

    record: Variant
    model: Model
    golden_outputs: tuple[Outputs, ...]
    latency_ms: float
    trial: Trial = Trial()  # noqa: RUF009 -- frozen
    trials: tuple[Tried, ...] = ()

    def describe(self) -> str:
        """Size, parity, score and what it lost, in one line, with the signs of the tables."""
        record, metric = self.record, self.record.metric
        score = f", {metric.name} {metric.value:.4f}, drop {metric.drop:z.4f}" if metric else ""
        return f"{record.size_bytes:,} bytes, parity {record.parity.relative:.1e}{score}"


def make_variant(
    planned: PlannedVariant,
    source: NetworkSource,
    oracle: Oracle,
    *,
    hopeless: float = math.inf,
) -> MadeVariant:
    """Export `planned`, run what came out, and measure it.

    Args:
        planned: the variant.
        source: the network that it is made of.
        oracle: what it is held to.
        hopeless: a drop on a part of the samples at which the others need not be looked at.

    Raises:
        ExportError: the exporter failed.
        BackendError: the backend cannot run what was exported.
        ParityError: it does not compute what the source computes.
    """
    try:
        model = planned.exporter.export(source, planned.precision)
    except EdgePrepError:
        raise
    except Exception as error:
        raise ExportError(
            f"{planned.name}: must be exported without an error, got {name_fault(error)}"
        ) from error
    try:
        return _prove(planned, source, oracle, model, hopeless)
    except EdgePrepError:
        raise
    except Exception as error:
        raise BackendError(
            f"{planned.name}: backend {planned.backend.name!r} must run what was exported, "
            f"got {name_fault(error)}"
        ) from error


def _prove(
    planned: PlannedVariant,
    source: NetworkSource,
    oracle: Oracle,
    model: Model,
    hopeless: float,
) -> MadeVariant:
    exact = planned.backend.options(planned.backend.devices()[0], planned.precision)[0]
    name, precision, task = planned.name, planned.precision, oracle.scorer.task
    with closing(_load(planned, model, exact)) as runner:
        parity = measure_parity(name, runner, precision, oracle.inputs, oracle.expected, task)
        if source.states:
            drift = measure_clips(name, runner, precision, oracle.clips, source.states, task)
            parity = replace(parity, clips=drift)
        golden = tuple(runner.run(feed) for feed, _ in oracle.golden)
        measured = _measure(name, runner, oracle, source.states, hopeless)
        latency_ms = _latency(runner, oracle.inputs[0])
    record = _record(planned, source, model, parity, measured)
    return MadeVariant(record=record, model=model, golden_outputs=golden, latency_ms=latency_ms)


def score_hints(planned: PlannedVariant, made: MadeVariant, oracle: Oracle) -> MadeVariant:
    """`made`, with what it loses under the hints by which its engine computes less exactly.

    Raises:
        BackendError: the engine cannot run it so.
    """
    exact, *others = planned.backend.options(planned.backend.devices()[0], planned.precision)
    reduced = {}
    for hint, options in {o["precision"]: o for o in others if "precision" in o}.items():
        if hint != exact.get("precision"):
            with closing(_load(planned, made.model, options)) as runner:
                try:
                    states = made.record.states
                    reduced[str(hint)] = _measure(planned.name, runner, oracle, states).drop
                except NonFiniteOutput:
                    # The variant itself is sound: devices are to leave the hint alone.
                    reduced[str(hint)] = _ALL_LOST
    return dataclasses.replace(made, record=replace(made.record, reduced=reduced))


def _measure(
    name: str,
    runner: Runner,
    oracle: Oracle,
    states: Sequence[TensorSpec],
    hopeless: float = math.inf,
) -> Measured:
    """The score on all samples; or on a part of them, where it is `hopeless` by then.

    Raises:
        NonFiniteOutput: an output is NaN or infinite; devices would refuse it.
    """
    scorer, samples = oracle.scorer, oracle.scorer.samples

    def run(index: int) -> Outputs:
        def finite(taken: NDArray[np.uint8]) -> Outputs:
            outputs = answer(runner.run, taken, states)
            if not all_finite(outputs):
                raise NonFiniteOutput(
                    f"{name}: outputs must be finite, got NaN or infinity for sample {index} of "
                    f"{len(samples)} held-out ones"
                )
            return outputs

        return samples.answer(index, finite)

    chosen, source_score = oracle.sampled
    part = outputs_on_disk(map(run, chosen))
    if part:
        found = _scored(scorer.some(chosen), part, source_score)
        if found.drop > hopeless:
            return found
    known = dict(zip(chosen, part, strict=True))
    outputs = (known[index] if index in known else run(index) for index in range(len(samples)))
    return _scored(scorer, outputs_on_disk(outputs), oracle.source_score)


def _scored(scorer: Scorer, outputs: Sequence[Outputs], source_score: float) -> Measured:
    value = scorer.score(outputs)
    drop = scorer.drop(source_score, value)
    return Measured(name=scorer.name, value=value, drop=drop, samples=len(outputs))


def _tolerance(precision: Precision, parity: Parity) -> float:
    """What golden outputs of a variant that is as far from the source as `parity` may differ by."""
    most = GOLDEN_TOLERANCE[precision]
    if precision != "int8":
        return most
    return min(most, max(_LEAST_INT8_TOLERANCE, parity.relative))


def _latency(runner: Runner, feed: Outputs) -> float:
    bursts = [measure_burst(lambda: runner.run(feed)) for _ in range(_BURSTS)]
    return summarize(bursts).median_ms


def _load(planned: PlannedVariant, model: Model, options: Options) -> Runner:
    try:
        return planned.backend.load(model, planned.backend.devices()[0], options)
    except BackendError as error:
        raise BackendError(f"{planned.name}: what was exported must load, got {error}") from error


def _record(
    planned: PlannedVariant,
    source: NetworkSource,
    model: Model,
    parity: Parity,
    measured: Measured,
) -> Variant:
    return Variant(
        name=planned.name,
        format=model.format,
        precision=planned.precision,
        placement=planned.placement,
        weight_range=planned.quantization.weight_range,
        requires=(planned.backend.install,) if planned.backend.install else (),
        files=tuple(f"variants/{planned.name}/{name}" for name in sorted(model.files)),
        size_bytes=model.size_bytes,
        input=source.input,
        states=source.states,
        outputs=source.outputs,
        parity=parity,
        metric=measured,
        tolerance=_tolerance(planned.precision, parity),
        golden_outputs=tuple(
            f"golden/{planned.name}/{index}.bin" for index in range(len(source.outputs))
        ),
    )
