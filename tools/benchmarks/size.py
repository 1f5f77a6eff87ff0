"""How much smaller an int8 file is, where the weights are most of it."""

from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle

__all__ = ["measure"]

MODEL = "weights-dominated"
LIMIT = 0.35


def measure() -> Report:
    """The int8 file over the float file, in each format."""
    variants = open_bundle(bundle(MODEL)).manifest.variants
    sizes = {(variant.format, variant.precision): variant.size_bytes for variant in variants}
    formats = sorted({variant.format for variant in variants})
    return Report(
        title="size: 3 million parameters, the int8 file over the float file",
        figures=tuple(
            Figure(name=name, value=sizes[name, "int8"] / sizes[name, "fp32"], limit=LIMIT)
            for name in formats
        ),
        details={"size_bytes": {f"{name}-{kind}": size for (name, kind), size in sizes.items()}},
    )
