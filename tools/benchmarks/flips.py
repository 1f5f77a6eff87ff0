"""Models with one bit turned over, loaded and run in workers: what becomes of them, and of us."""

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from msgspec.structs import replace

from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from edgeprep.bundle import Bundle, Variant
from edgeprep.errors import BackendCrashed, BackendTimeout, EdgePrepError
from edgeprep.interfaces import Backend, Model, Task
from edgeprep.registry import create, default_registry
from edgeprep.runtime.golden import allowed_error, golden_error
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.workers import IsolatedBackend, Limits

__all__ = ["LIMITS", "flip", "judge", "measure", "summarize"]

LIMITS = Limits(load_s=10.0, run_s=5.0)
# What is right takes a tenth of a second; ending a worker, and starting the next one, as long.
_GRACE_S = 1.0


def flip(model: Model, rng: np.random.Generator) -> Model:
    """`model` with one bit of one of its files turned over."""
    names = sorted(model.files)
    sizes = np.array([len(model.files[name]) for name in names])
    name = str(rng.choice(names, p=sizes / sizes.sum()))
    content = bytearray(model.files[name])
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return replace(model, files={**model.files, name: bytes(content)})


def judge(
    backend: Backend, model: Model, opened: Bundle, variant: Variant, task: Task
) -> tuple[str, float]:
    """What became of `model`, and how many seconds it took.

    "right" or "wrong" numbers by the golden samples, "refused" by the engine, "crashed", "timeout",
    or "foreign": an error that is none of edgeprep's.
    """
    device = backend.devices()[0]
    options = backend.options(device, variant.precision)[0]
    start = perf_counter()
    try:
        runner = backend.load(model, device, options)
        try:
            error = golden_error(runner, opened.golden(variant), task)
        finally:
            runner.close()
        verdict = "right" if error <= allowed_error(variant, options, device.kind) else "wrong"
    except BackendCrashed:
        verdict = "crashed"
    except BackendTimeout:
        verdict = "timeout"
    except EdgePrepError:
        verdict = "refused"
    except Exception:  # noqa: BLE001 -- it is what is looked for
        verdict = "foreign"
    return verdict, perf_counter() - start


def measure(engine: str, path: str | None = None, *, models: int = 2000, seed: int = 0) -> Report:
    """`models` flipped models of `engine`, in fp32: verdicts, and how long the slowest took."""
    registry = default_registry()
    cls = registry.get("backend", engine)
    create(cls)
    opened = OpenedBundle.read(path or bundle("tiny"), registry)
    variants = [
        variant
        for variant in opened.variants
        if variant.format in cls.formats and variant.precision == "fp32"
    ]
    variant, rng = variants[0], np.random.default_rng(seed)
    backend = IsolatedBackend(cls, limits=LIMITS)
    found = []
    for _ in range(models):
        model = flip(opened.bundle.model(variant), rng)
        found.append(judge(backend, model, opened.bundle, variant, opened.task))
    backend.close()
    return summarize(f"{engine}, {models} models of {variant.name} with one bit turned over", found)


def summarize(title: str, found: Sequence[tuple[str, float]]) -> Report:
    """Verdicts and their seconds as a report.

    NOTE: that the process that asks lives on is no figure: where it dies there is no report, and
    the program ends with its exit status.
    """
    verdicts = Counter(verdict for verdict, _ in found)
    slowest = max(seconds for _, seconds in found)
    limit = LIMITS.load_s + LIMITS.run_s + _GRACE_S
    return Report(
        title=f"flips: {title}",
        figures=(
            Figure(name="errors that are not ours", value=verdicts["foreign"], limit=0.0),
            Figure(name="slowest verdict", value=slowest, limit=limit, unit="s"),
        ),
        notes=(", ".join(f"{count} {name}" for name, count in sorted(verdicts.items())),),
        details=dict(verdicts),
    )
