"""A network with one hostile layer: what the budget costs here, and what it costs NNCF."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Mapping
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
from edgeprep.conversion.network import load_network
from edgeprep.conversion.result import Result
from edgeprep.conversion.samples import prepare_samples
from edgeprep.data import build_reader
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives

__all__ = ["measure"]

RECIPE = MODELS / "hostile.toml"
MAX_DROP, PLAIN_DROP = 0.005, 0.05
WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")


def measure() -> Report:
    """Convert it, and let NNCF quantize the same network with its accuracy control."""
    with tempfile.TemporaryDirectory() as name:
        start = perf_counter()
        result = edgeprep.convert(RECIPE, Path(name) / "hostile.edgeprep")
        seconds = perf_counter() - start
        ours = float_layers(openvino_of(result))
    control = accuracy_control()
    notes = [
        f"{name}: {len(trials[0].trial.keep)} to {len(final(result, name))} modules in float "
        f"{final(result, name)!r}, {len(trials)} evaluations, drop {drop(result, name):.4f}"
        for name, trials in result.trials.items()
    ]
    notes += [
        f"all three formats with edgeprep: {seconds:.0f} s; OpenVINO with NNCF: "
        f"{control['seconds']:.0f} s",
        f"NNCF: {control['float']} layers in float, {control['calls']} calls of the validation "
        f"function on {control['samples']} samples in all, drop {control['drop']:.4f}",
    ]
    plain = min(trials[0].drop for trials in result.trials.values())
    evaluations = len(result.trials["openvino-int8"])
    figures = [
        Figure(
            name="plain INT8 loses, least of three formats",
            value=plain,
            limit=PLAIN_DROP,
            rule="at least",
        ),
        *(
            Figure(name=f"{name} loses", value=drop(result, name), limit=MAX_DROP)
            for name in result.trials
        ),
        Figure(
            name="layers in float, OpenVINO, against NNCF's", value=ours, limit=control["float"]
        ),
        Figure(
            name="metric evaluations, OpenVINO, over NNCF's",
            value=evaluations / control["calls"],
            limit=0.5,
        ),
    ]
    return Report(
        title="budget: one hostile layer, max_drop 0.005",
        figures=tuple(figures),
        notes=tuple(notes),
        details={"nncf": control},
    )


def final(result: Result, name: str) -> tuple[str, ...]:
    return next(variant.keep_float for variant in result.variants if variant.name == name)


def drop(result: Result, name: str) -> float:
    metric = next(variant.metric for variant in result.variants if variant.name == name)
    assert metric is not None
    return metric.drop


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
