"""What the whole way gives: from a teacher in float to a pruned, taught student in INT8.

The teacher is one and the same; students are trained from several seeds, each in a conversion of
its own. What is held to a limit is the worst of them.
"""

from statistics import mean, median
from time import perf_counter

from benchmarks.bundles import bundle
from benchmarks.engines import default_onnxruntime
from benchmarks.figures import Figure, Report
from edgeprep.bundle import Bundle, Variant, open_bundle

__all__ = ["measure"]

TEACHER, STUDENT = ("digits-resnet", "onnx-fp32"), ("digits-pipeline", "onnx-int8")
SEEDS = (0, 1, 2)
FASTER, SMALLER, LOSS = 4.0, 8.0, 0.01
WARM_UP_S, ROUNDS, CALLS = 0.5, 40, 25


def measure() -> Report:
    """All on ONNX Runtime as it comes, in turns, burst by burst."""
    name, precise = TEACHER
    bundles = [bundle(name), *(bundle(STUDENT[0], seed=seed) for seed in SEEDS)]
    opened = [open_bundle(path) for path in bundles]
    names = [precise, *(STUDENT[1] for _ in SEEDS)]
    variants = [found.variant(one) for found, one in zip(opened, names, strict=True)]
    teacher, *students = variants
    teacher_ms, *students_ms = latencies(opened, variants)
    losses = [teacher.metric.value - student.metric.value for student in students]
    notes = [_say(name, teacher, teacher_ms)]
    for seed, found, student, taken in zip(SEEDS, opened[1:], students, students_ms, strict=True):
        notes.append(_say(f"seed {seed}", student, taken))
        notes += [
            f"seed {seed} {other.name}: {other.size_bytes:,} bytes, "
            f"accuracy {other.metric.value:.4f}"
            for other in found.manifest.variants
            if other.name != student.name
        ]
    return Report(
        title="pipeline: digits-resnet in float against its pruned student in INT8, "
        f"the worst of {len(SEEDS)} seeds",
        figures=(
            Figure(
                name="ONNX Runtime defaults, how many times as fast",
                value=min(teacher_ms / taken for taken in students_ms),
                limit=FASTER,
                rule="at least",
            ),
            Figure(
                name="how many times smaller",
                value=min(teacher.size_bytes / student.size_bytes for student in students),
                limit=SMALLER,
                rule="at least",
            ),
            # 0.99 - 0.98 is above 0.01 in binary.
            Figure(name="accuracy below the teacher's", value=round(max(losses), 9), limit=LOSS),
        ),
        notes=(*notes, f"accuracy below the teacher's, mean of seeds: {mean(losses):.4f}"),
        details={
            "seeds": SEEDS,
            "teacher_ms": teacher_ms,
            "students_ms": students_ms,
            "losses": losses,
        },
    )


def _say(name: str, variant: Variant, taken: float) -> str:
    return (
        f"{name} {variant.name}: {taken:.3f} ms, {variant.size_bytes:,} bytes, "
        f"accuracy {variant.metric.value:.4f} on {variant.metric.samples} samples"
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
