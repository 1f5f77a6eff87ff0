"""A network with one hostile layer: what the budget costs here, and what it costs NNCF."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import nncf
import numpy as np
import openvino as ov
import torch

import edgeprep
from benchmarks.bundles import MODELS
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle
from edgeprep.conversion import silent
from edgeprep.conversion.plan import PlannedVariant, make_plan
from edgeprep.conversion.result import Result
from edgeprep.conversion.score import run_all
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.conversion.within_budget import VariantMaker
from edgeprep.data import build_reader, prepare_samples
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.train import load_network

__all__ = ["measure"]

RECIPE = MODELS / "hostile.toml"
MAX_DROP, PLAIN_DROP = 0.005, 0.05
SHARE = 0.5  # of what NNCF spends
WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")


def measure() -> Report:
    """Convert it, and let NNCF quantize the same network with its accuracy control."""
    plain = plain_drops()
    with tempfile.TemporaryDirectory() as name:
        start = perf_counter()
        result = edgeprep.convert(RECIPE, Path(name) / "hostile.edgeprep", fresh=True)
        seconds = perf_counter() - start
        ours = float_layers(openvino_of(result))
    control = accuracy_control()
    # A trial is one call of the metric, though hopeless ones see a part of the samples only. NNCF's
    # score the float model first, which a conversion does once for all formats.
    calls = {name: len(trials) + 1 for name, trials in result.trials.items()}
    samples = {
        name: sum(tried.samples for tried in trials) + result.manifest.source.samples
        for name, trials in result.trials.items()
    }
    packed = {variant.name: variant for variant in result.variants}
    notes = [
        f"{name}: {variant.keep_float!r} in float after {calls[name]} calls of the metric on "
        f"{samples[name]} samples, the float network's included; drop {variant.metric.drop:.4f}"
        for name, variant in packed.items()
    ]
    notes.append(
        f"OpenVINO by NNCF: {control['float']} layers in float after {control['calls']} calls of "
        f"the validation function on {control['samples']} samples; drop {control['drop']:.4f}"
    )
    notes.append(
        f"three formats here: {seconds:.0f} s; OpenVINO by NNCF: {control['seconds']:.0f} s"
    )
    figures = (
        *(
            Figure(name=f"plain {name} loses", value=value, limit=PLAIN_DROP, rule="at least")
            for name, value in plain.items()
        ),
        *(
            Figure(name=f"{name} loses", value=variant.metric.drop, limit=MAX_DROP)
            for name, variant in packed.items()
        ),
        Figure(
            name="layers in float, OpenVINO, at most NNCF's", value=ours, limit=control["float"]
        ),
        Figure(
            name="evaluated samples, OpenVINO, over NNCF's",
            value=samples["openvino-int8"] / control["samples"],
            limit=SHARE,
        ),
        Figure(
            name="calls of the metric, OpenVINO, over NNCF's",
            value=calls["openvino-int8"] / control["calls"],
            limit=SHARE,
        ),
    )
    return Report(
        title=f"budget: one hostile layer, max_drop {MAX_DROP}",
        figures=figures,
        notes=tuple(notes),
        details={"nncf": control, "calls": calls, "samples": samples},
    )


def plain_drops() -> dict[str, float]:
    """What INT8 loses in each format where nothing is kept in float; no gate is asked."""
    recipe = replace(load_recipe(RECIPE), budget=None)
    registry = default_registry()
    with tempfile.TemporaryDirectory() as name:
        plan = make_plan(
            recipe, Path(name) / "hostile.edgeprep", overwrite=False, registry=registry
        )
        conversion = Conversion(
            plan=plan, registry=registry, progress=silent, scratch=Path(name), steps=Steps()
        )
        maker = conversion.prepare()
        return {planned.name: plain_drop(maker, planned) for planned in plan.variants}


def plain_drop(maker: VariantMaker, planned: PlannedVariant) -> float:
    model = planned.exporter.export(maker.sources[planned.placement], planned.precision)
    device = planned.backend.devices()[0]
    options = planned.backend.options(device, planned.precision)[0]
    oracle = maker.oracles[planned.placement]
    with closing(planned.backend.load(model, device, options)) as runner:
        outputs = run_all(lambda image: runner.run((image,)), oracle.scorer.samples)
    return oracle.scorer.drop(oracle.source_score, oracle.scorer.score(outputs))


def openvino_of(result: Result) -> ov.Model:
    """The packed OpenVINO model."""
    bundle = open_bundle(result.bundle)
    variant = next(one for one in result.variants if one.format == "openvino")
    files = bundle.model(variant).files
    return ov.Core().read_model(files["model.xml"], files["model.bin"])


def float_layers(model: ov.Model) -> int:
    """How many layers with weights compute in float: no quantization right before them."""
    return sum(
        node.get_type_name() in WEIGHTED and not quantized(node.input_value(0).get_node())
        for node in model.get_ordered_ops()
    )


def quantized(node: Any) -> bool:
    # What moves values about may stand between.
    while node.get_type_name() in ("Reshape", "Squeeze", "Unsqueeze", "Transpose", "MaxPool"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "FakeQuantize"


def accuracy_control() -> dict[str, Any]:
    """What `nncf.quantize_with_accuracy_control` does with the network alone."""
    recipe = load_recipe(RECIPE)
    network = load_network(recipe.model, RECIPE.parent)
    inputs = {name: prepared(recipe, name) for name in ("calibration", "evaluation")}
    (calibration, _), (pictures, labels) = inputs["calibration"], inputs["evaluation"]
    model = ov.convert_model(network, example_input=torch.from_numpy(pictures[:1]))
    model.reshape([1, *pictures.shape[1:]])
    calls, samples = 0, 0

    def validate(compiled: ov.CompiledModel, items: Iterable[Any]) -> float:
        nonlocal calls, samples
        calls += 1
        right = [int(compiled(picture)[0].argmax()) == label for picture, label in items]
        samples += len(right)
        return float(np.mean(right))

    items = [(pictures[i : i + 1], labels[i]) for i in range(len(labels))]
    logging.getLogger("nncf").setLevel(logging.ERROR)
    start = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        found = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset([calibration[i : i + 1] for i in range(len(calibration))]),
            nncf.Dataset(items),
            validation_fn=validate,
            max_drop=MAX_DROP,
            drop_type=nncf.DropType.ABSOLUTE,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration),
        )
    seconds = perf_counter() - start
    spent = {"calls": calls, "samples": samples, "seconds": seconds}
    scores = [validate(ov.compile_model(one, "CPU"), items) for one in (model, found)]
    return {**spent, "float": float_layers(found), "drop": scores[0] - scores[1]}


def prepared(recipe: edgeprep.Recipe, name: str) -> tuple[Any, list[int | None]]:
    """Data as the network takes them, and their labels."""
    chain = Chain.of_recipe(recipe, default_registry())
    host, graph = chain.cut("split")
    table: Mapping[str, object] = getattr(recipe.data, name)
    samples = build_reader(table, name).open(directory=recipe.directory, where=name)
    pictures = prepare_samples(samples, host, name)
    F = NumpyPrimitives()
    rows = [graph.apply(F, pictures.picture(index)) for index in range(len(pictures))]
    return np.concatenate(rows), list(pictures.labels)
