"""What the whole way gives: from a teacher in float to a pruned, taught student in INT8."""

from statistics import median
from time import perf_counter

from benchmarks.bundles import bundle
from benchmarks.engines import default_onnxruntime
from benchmarks.figures import Figure, Report
from edgeprep.bundle import Bundle, Variant, open_bundle

__all__ = ["measure"]

TEACHER, STUDENT = ("digits-resnet", "onnx-fp32"), ("digits-pipeline", "onnx-int8")
FASTER, SMALLER, LOSS = 4.0, 8.0, 0.01
WARM_UP_S, ROUNDS, CALLS = 0.5, 40, 25


def measure() -> Report:
    """Both on ONNX Runtime as it comes, in turns, burst by burst."""
    opened = [(open_bundle(bundle(name)), variant) for name, variant in (TEACHER, STUDENT)]
    variants = [found.variant(name) for found, name in opened]
    teacher_ms, student_ms = latencies([found for found, _ in opened], variants)
    teacher, student = variants
    scores = [variant.metric.value for variant in variants]
    others = [one for one in opened[1][0].manifest.variants if one.name != student.name]
    return Report(
        title="pipeline: digits-resnet in float against its pruned student in INT8",
        figures=(
            Figure(
                name="ONNX Runtime defaults, how many times as fast",
                value=teacher_ms / student_ms,
                limit=FASTER,
                rule="at least",
            ),
            Figure(
                name="how many times smaller",
                value=teacher.size_bytes / student.size_bytes,
                limit=SMALLER,
                rule="at least",
            ),
            Figure(name="accuracy below the teacher's", value=scores[0] - scores[1], limit=LOSS),
        ),
        notes=(
            *(
                f"{name} {variant.name}: {taken:.3f} ms, {variant.size_bytes:,} bytes, "
                f"accuracy {variant.metric.value:.4f} on {variant.metric.samples} samples"
                for (name, _), variant, taken in zip(
                    (TEACHER, STUDENT), variants, (teacher_ms, student_ms), strict=True
                )
            ),
            *(
                f"{STUDENT[0]} {variant.name}: {variant.size_bytes:,} bytes, "
                f"accuracy {variant.metric.value:.4f}"
                for variant in others
            ),
        ),
        details={"teacher_ms": teacher_ms, "student_ms": student_ms, "accuracy": scores},
    )


def latencies(bundles: list[Bundle], variants: list[Variant]) -> list[float]:
    """The median of a call of each, in milliseconds, the host's share of preprocessing left out."""
    calls = []
    for found, variant in zip(bundles, variants, strict=True):
        call, picture = (
            default_onnxruntime(found.model(variant).files),
            found.golden(variant).input[:1].copy(),
        )
        calls.append(lambda call=call, picture=picture: call(picture))
    for call in calls:
        end = perf_counter() + WARM_UP_S
        while perf_counter() < end:
            call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, taken in zip(calls, times, strict=True):
            for _ in range(CALLS):
                start = perf_counter()
                call()
                taken.append((perf_counter() - start) * 1e3)
    return [median(taken) for taken in times]
