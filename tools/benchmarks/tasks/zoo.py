"""What the networks of the zoo are worth, as their recipes convert them: in float and in INT8."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bundles import RECIPES, bundle
from benchmarks.figures import Figure, Report
from edgeprep.bundle import Manifest, Variant, open_bundle
from edgeprep.data import load_factory

__all__ = ["figures_of", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a network is to be worth.

    Attributes:
        least: of its score in torch; None: what comes of `above`.
        drop: how much any INT8 variant may lose.
        above: how much its score must be above that of each other method, by what the name of that
            begins with. Its folder has `compare`, which scores them all.
    """

    least: float | None = None
    drop: float = 0.01
    above: Mapping[str, float] = field(default_factory=dict)


AIMS = {
    "digits-detector": Aim(least=0.9),
    "digits-segmenter": Aim(least=0.85),
    "digits-vit": Aim(least=0.97),
    "photo-denoiser": Aim(drop=0.3, above={"noisy": 3.0, "non-local means": 0.0}),
    "lowlight-enhancer": Aim(drop=0.3, above={"gamma": 0.0, "CLAHE": 0.0}),
    "moving-digits": Aim(least=0.95),
}


def measure() -> Report:
    """Each network of `AIMS`: its score, the worst drop of its INT8 variants, and its rivals."""
    figures, notes = [], []
    for name, aim in AIMS.items():
        manifest = open_bundle(bundle(name)).manifest
        figures += figures_of(manifest, aim, _rivals(name) if aim.above else {})
        notes += [_say(name, variant) for variant in manifest.variants]
    return Report(
        title="the zoo: scores in torch on all evaluation data, and what INT8 loses of them",
        figures=tuple(figures),
        notes=tuple(notes),
    )


def figures_of(manifest: Manifest, aim: Aim, rivals: Mapping[str, float]) -> list[Figure]:
    """What `aim` asks of the network of `manifest`; `rivals` are scores by name."""
    name, source = manifest.name, manifest.source
    metric, value = str(source.metric), float(source.value or 0.0)
    figures = []
    if aim.least is not None:
        title = f"{name}: {metric}"
        figures.append(Figure(name=title, value=value, limit=aim.least, rule="at least"))
    for start, margin in aim.above.items():
        title, score = next(item for item in rivals.items() if item[0].startswith(start))
        figures.append(
            Figure(
                name=f"{name}: {metric}, against {title}",
                value=value,
                limit=round(score + margin, 4),
                unit="dB",
                rule="at least",
            )
        )
    drops = [
        variant.metric.drop
        for variant in manifest.variants
        if variant.precision == "int8" and variant.metric is not None
    ]
    title = f"{name}: worst drop of {len(drops)} INT8 variants"
    # Scores such as 0.98 and 0.99 are not apart by 0.01 in binary.
    figures.append(Figure(name=title, value=round(max(drops), 9), limit=aim.drop))
    return figures


def _rivals(name: str) -> dict[str, float]:
    compare: Any = load_factory("compare:compare", RECIPES[name].parent, "compare")
    found: dict[str, float] = compare()
    return found


def _say(name: str, variant: Variant) -> str:
    metric = variant.metric
    scored = "not scored" if metric is None else f"{metric.name} {metric.value:.4f}"
    kept = f", in float: {', '.join(variant.keep_float)}" if variant.keep_float else ""
    return f"{name} {variant.name}: {variant.size_bytes:,} bytes, {scored}{kept}"
