"""What `speedup = 2` gives for a network of the size of ResNet-50, in each engine."""

import os

import numpy as np

from benchmarks.bundles import bundle
from benchmarks.figures import Figure, Report
from benchmarks.turns import latencies_ms
from edgeprep.bundle import open_bundle

__all__ = ["measure"]

WHOLE, PRUNED = "resnet-50-float", "resnet-50-pruned"
LIMIT = 1.9
ENGINES = {"onnxruntime": "onnx-fp32", "openvino": "openvino-fp32", "litert": "tflite-fp32"}


def measure() -> Report:
    """Convert the network as it is and pruned, and run both in turns."""
    opened = [open_bundle(bundle(name)) for name in (WHOLE, PRUNED)]
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    figures, notes = [], []
    for engine, variant in ENGINES.items():
        models = [one.model(one.variant(variant)).files for one in opened]
        sizes = [sum(map(len, files.values())) / 1e6 for files in models]
        found = {
            threads: latencies_ms(engine, models, image, threads=threads)
            for threads in sorted({1, os.cpu_count() or 1})
        }
        before, after = found[1]
        figures.append(
            Figure(name=engine, value=before / after, limit=LIMIT, unit="times", rule="at least")
        )
        for threads, (whole, pruned) in found.items():
            notes.append(
                f"{engine}, {threads} threads: {whole:.1f} ms before, {pruned:.1f} ms after, "
                f"{whole / pruned:.2f} times; {sizes[0]:.1f} MB before, {sizes[1]:.1f} MB after"
            )
    return Report(
        title="prune: a network of ResNet-50's size, speedup = 2, one thread",
        figures=tuple(figures),
        notes=tuple(notes),
        details={"load": os.getloadavg()},
    )
