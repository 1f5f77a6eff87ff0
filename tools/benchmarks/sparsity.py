"""What zeros among the weights change: files, deflated files, and time in each engine."""

import copy
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.bundles import RECIPES
from benchmarks.figures import Report
from benchmarks.turns import latencies_ms
from edgeprep.compress.sparsify import Sparsify
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.workbench import RecipeWorkbench
from edgeprep.data import prepare_samples, silent
from edgeprep.interfaces import Exporter
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.train.network import load_network

__all__ = ["measure"]

MODEL = "mobilenet-v2"
KINDS = {
    "half": Sparsify(ratio=0.5),
    "80%": Sparsify(ratio=0.8),
    "2:4": Sparsify(n=2, m=4),
}
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}


def measure() -> Report:
    """Export the network dense and sparse, and run all in turns."""
    notes = []
    with TemporaryDirectory() as name:
        sources = sources_of(Path(name))
        image = next(iter(sources.values())).calibration[:1]
        for form, engine in ENGINES.items():
            exporter: Exporter = default_registry().get("exporter", form)()
            models = [exporter.export(source, "fp32").files for source in sources.values()]
            times = latencies_ms(engine, models, image, threads=1)
            for kind, files, taken in zip(sources, models, times, strict=True):
                content = b"".join(files[key] for key in sorted(files))
                notes.append(
                    f"{engine:<12} {kind:<6} {len(content) / 1e6:6.2f} MB, "
                    f"{len(zlib.compress(content)) / 1e6:6.2f} MB deflated, {taken:7.2f} ms, "
                    f"{times[0] / taken:.2f} times as fast as dense"
                )
    return Report(
        title="sparsity: MobileNetV2 in float, one thread", figures=(), notes=tuple(notes)
    )


def sources_of(directory: Path) -> dict[str, NetworkSource]:
    recipe = load_recipe(RECIPES[MODEL])
    plan = make_plan(
        recipe, directory / "never.edgeprep", overwrite=False, registry=default_registry()
    )
    host, graph = plan.chain.cut("graph")
    pictures = prepare_samples(plan.calibration, host, "data.calibration").inputs[:1]
    dense = load_network(recipe.model, recipe.directory)

    def wrap(network: torch.nn.Module) -> NetworkSource:
        return NetworkSource(network, graph, pictures, scratch=directory)

    bench = RecipeWorkbench(
        plan=plan,
        source=wrap(dense),
        storage=directory,
        image=pictures,
        rewrap=wrap,
        training=lambda: None,
        progress=silent,
        where="compress[0]",
        rate_key="train.learning_rate",
    )
    sparse = {name: kind.apply(copy.deepcopy(dense), bench) for name, kind in KINDS.items()}
    return {name: wrap(network) for name, network in {"dense": dense, **sparse}.items()}
