"""The conversion as a whole: what comes out, and what is left when nothing does."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion.search import search
from edgeprep.errors import (
    BackendError,
    BudgetError,
    ConvertError,
    DataError,
    ExportError,
    OutputExists,
    ParityError,
    RecipeError,
    StorageError,
)
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry

Project = Callable[..., Path]


# Enough for the last class to win over the first, not enough for parity to refuse it.
COSTLY = 0.28


def left_behind(tmp_path: Path) -> list[str]:
    """Every temporary or output file."""
    folders = (tmp_path / "scratch", tmp_path / "out")
    return sorted(path.name for folder in folders for path in folder.rglob("*"))


def test_a_bundle_holds_every_variant_with_what_was_measured(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = 0.01
    result = edgeprep.convert(project(), output, registry=registry)
    document = json.loads(json.dumps(result.to_json()))
    assert document["bundle"] == str(output)
    assert document["source"]["metric"] == "accuracy"
    assert document["source"]["samples"] == 24
    assert document["skipped"] == {"calibration": 0, "evaluation": 0}
    exact, quantized = document["variants"]
    assert (exact["name"], exact["format"], exact["precision"]) == ("fake-fp32", "fake", "fp32")
    assert exact["parity"] == {"max_abs": 0.0, "relative": 0.0}
    assert exact["metric"] == {
        "name": "accuracy",
        "value": document["source"]["value"],
        "drop": 0.0,
    }
    assert quantized["parity"]["relative"] == pytest.approx(0.01, rel=0.01)
    manifest = open_bundle(output).manifest
    assert manifest == result.manifest
    assert manifest.variants[0].requires == ("edgeprep-fake[runtime]",)
    assert set(manifest.created_with) >= {"edgeprep", "python", "numpy", "torch"}


def test_golden_outputs_are_the_variants_own(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = 0.05
    edgeprep.convert(project(), output, registry=registry)
    bundle = open_bundle(output)
    exact, quantized = (bundle.golden(bundle.variant(f"fake-{p}")) for p in ("fp32", "int8"))
    assert exact.input.shape == (8, 8, 8, 3)
    np.testing.assert_array_equal(exact.outputs[0], exact.source_outputs[0])
    source = quantized.source_outputs[0]
    shift = 0.05 * np.abs(source).max(axis=1, keepdims=True) * [[-1, 0, 1]]
    np.testing.assert_allclose(quantized.outputs[0], source + shift, rtol=1e-5)


def test_a_converted_bundle_opens_and_answers(
    project: Project,
    output: Path,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    edgeprep.convert(project(), output, registry=registry)
    with edgeprep.open(output, registry=registry, probe=False) as session:
        result = session(np.full((31, 17, 3), 90, np.uint8))
        assert result.label in ("red", "green", "blue")


def test_a_float_variant_that_differs_fails_and_leaves_nothing(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace, tmp_path: Path
) -> None:
    fake.faults["fp32"] = 2e-4
    with pytest.raises(ParityError, match="fake-fp32: must agree with the source") as fault:
        edgeprep.convert(project(), output, registry=registry)
    assert str(fault.value) == (
        "fake-fp32: must agree with the source within 1e-04 of its largest output, "
        "got 2.00e-04 on 16 samples"
    )
    assert left_behind(tmp_path) == []


def test_a_dead_int8_variant_fails_though_there_is_no_budget(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace, tmp_path: Path
) -> None:
    fake.faults["int8"] = float("nan")
    with pytest.raises(ParityError, match=r"fake-int8: must agree .* got inf on 16 samples"):
        edgeprep.convert(project(), output, registry=registry)
    assert left_behind(tmp_path) == []


def test_over_budget_fails_naming_each_variant_and_leaves_nothing(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace, tmp_path: Path
) -> None:
    fake.faults["int8"] = COSTLY
    scored = edgeprep.convert(project(), output, registry=registry)
    drop = scored.variants[1].metric
    assert drop is not None
    output.unlink()
    recipe = project(more='[budget]\nmetric = "accuracy"\nmax_drop = 0.0')
    with pytest.raises(BudgetError, match=r"^budget\.max_drop: ") as fault:
        edgeprep.convert(recipe, output, registry=registry)
    assert str(fault.value) == (
        "budget.max_drop: accuracy may drop by at most 0.0, got fake-int8 "
        f"{drop.drop:.4f} (to {drop.value:.4f} with no layer in float, calibrator 'min-max', "
        "the best of 5 trials); allow 'fine-tune' in budget.repair, keep sensitive layers in "
        "float with target.keep_float, "
        "give more calibration samples, or allow a larger drop"
    )
    assert left_behind(tmp_path) == []


def test_reduced_precision_hints_are_scored_for_the_budget_to_hold_on_the_device(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["bf16"] = COSTLY
    manifest = edgeprep.convert(project(), output, registry=registry).manifest
    exact, quantized = manifest.variants
    assert exact.metric is not None
    assert exact.metric.drop == 0.0
    assert exact.reduced["bf16"] > 0.0
    assert quantized.reduced == {}


def test_without_evaluation_data_agreement_stands_in_and_is_named(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = 0.01
    manifest = edgeprep.convert(project(data=""), output, registry=registry).manifest
    assert (manifest.source.metric, manifest.source.value) == (None, None)
    metric = manifest.variants[0].metric
    assert metric is not None
    assert (metric.name, metric.value, metric.drop) == (
        "top-1 agreement with the source",
        1.0,
        0.0,
    )


def test_auto_packs_every_placement_that_differs(
    project: Project, output: Path, registry: Registry
) -> None:
    data = 'evaluation = { factory = "data:fixed" }'
    recipe = project(data=data)
    extra = "\n\ndef fixed():\n    return (s for s in pictures() if s[0].shape[0] == 12)\n"
    source = recipe.parent / "data.py"
    source.write_text(source.read_text() + extra)
    text = recipe.read_text().replace('"data:pictures"', '"data:fixed"')
    recipe.write_text(f'placement = "auto"\n{text}\n[input]\nsize = [12, 12]\n')
    manifest = edgeprep.convert(recipe, output, registry=registry).manifest
    assert [(v.name, v.placement, v.input.shape) for v in manifest.variants] == [
        ("fake-fp32-graph", "graph", (1, 12, 12, 3)),
        ("fake-fp32-split", "split", (1, 8, 8, 3)),
        ("fake-int8-graph", "graph", (1, 12, 12, 3)),
        ("fake-int8-split", "split", (1, 8, 8, 3)),
    ]
    assert [golden.input.shape for golden in manifest.golden] == [(8, 12, 12, 3), (8, 8, 8, 3)]


def test_passes_change_the_network_before_it_is_exported(
    project: Project, output: Path, registry: Registry
) -> None:
    plain = edgeprep.convert(project(), output, registry=registry)
    before = open_bundle(output).golden(plain.variants[0]).outputs[0]
    recipe = project(more='[[compress]]\nuse = "halve"')
    halved = edgeprep.convert(recipe, output, registry=registry, overwrite=True)
    after = open_bundle(output).golden(halved.variants[0]).outputs[0]
    # The budget and the report are about the network that came, not about the compressed one.
    assert halved.manifest.source == plain.manifest.source
    difference = after - before
    # Half of one bias a class: the same for every sample.
    np.testing.assert_allclose(difference, np.broadcast_to(difference[0], (8, 3)), atol=1e-6)
    assert np.abs(difference).max() > 0.01


def test_the_output_is_not_replaced_unless_asked(
    project: Project, output: Path, registry: Registry
) -> None:
    output.write_bytes(b"precious")
    with pytest.raises(OutputExists, match="already exists") as fault:
        edgeprep.convert(project(), output, registry=registry)
    assert str(fault.value) == (
        f"{output}: already exists; pass --overwrite (overwrite=True) to replace it"
    )
    assert output.read_bytes() == b"precious"
    edgeprep.convert(project(), output, registry=registry, overwrite=True)
    assert open_bundle(output).manifest.name == "small"


def test_an_output_that_cannot_be_is_refused_before_any_work(
    project: Project, tmp_path: Path, registry: Registry
) -> None:
    outputs = {
        tmp_path / "nowhere" / "x.edgeprep": "must lie in an existing directory, got .*nowhere",
        tmp_path / ("x" * 256): "must be a file that can be written, got 'File name too long'",
        tmp_path: "must be a regular file, got a directory",
    }
    for path, reason in outputs.items():
        told: list[str] = []

        @contextmanager
        def progress(title: str, told: list[str] = told) -> Iterator[Callable[[str], None]]:
            told.append(title)
            yield told.append

        with pytest.raises(StorageError, match=reason):
            edgeprep.convert(project(), path, registry=registry, progress=progress)
        assert told == []


def test_an_exporters_own_error_is_chained_once(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace, tmp_path: Path
) -> None:
    fake.raises.append(KeyError("aten.strange"))
    rule = r"^fake-fp32: must be exported without an error, got KeyError: 'aten\.strange' \("
    with pytest.raises(ExportError, match=rf"{rule}conftest\.py:\d+\)$") as fault:
        edgeprep.convert(project(), output, registry=registry)
    assert fault.value.__cause__ is fake.raises[0]
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("method", ["load", "run"])
def test_what_a_backend_raises_names_the_variant_and_is_chained_once(
    project: Project,
    output: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    def lose_device(*_: object) -> None:
        raise RuntimeError("device lost")

    (backend,) = registry.backends_for("fake")
    runner = sys.modules[backend.__module__].FakeRunner
    monkeypatch.setattr(backend if method == "load" else runner, method, lose_device)
    message = "fake-fp32: backend 'fakes' must run what was exported, got RuntimeError: device lost"
    with pytest.raises(BackendError, match=rf"^{message} \(test_convert\.py:\d+\)$"):
        edgeprep.convert(project(), output, registry=registry)
    assert not output.exists()


def test_what_a_pass_raises_names_its_table_and_is_chained_once(
    project: Project, output: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(*_: object) -> None:
        raise RuntimeError("0 of 0 layers")

    monkeypatch.setattr(registry.get("pass", "halve"), "apply", find_nothing)
    message = r"compress\[0\]: pass 'halve' must succeed, got RuntimeError: 0 of 0 layers"
    message += r" \(test_convert\.py:\d+\)"
    with pytest.raises(ConvertError, match=f"^{message}$"):
        edgeprep.convert(project(more='[[compress]]\nuse = "halve"'), output, registry=registry)


def test_a_network_that_takes_zeros_but_no_picture_is_refused(
    project: Project, output: Path, registry: Registry
) -> None:
    recipe = project()
    model = recipe.with_name("model.py")
    raising = 'if x.std() > 0: raise RuntimeError("too bright")\n        return self.head'
    model.write_text(model.read_text().replace("return self.head", raising))
    message = (
        "model.factory: the network must take every picture of the data, "
        "got RuntimeError: too bright \\(model.py:16\\)"
    )
    with pytest.raises(RecipeError, match=f"^{message}$"):
        edgeprep.convert(recipe, output, registry=registry)


def test_float_variants_need_no_calibration_samples(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    recipe = project(target='[[target]]\nformat = "fake"\nprecision = ["fp32"]')
    lines = recipe.read_text().splitlines(keepends=True)
    recipe.write_text("".join(line for line in lines if not line.startswith("calibration")))
    edgeprep.convert(recipe, output, registry=registry)
    source = fake.sources["fp32"]
    assert source.calibration.shape == (0, 8, 8, 3)
    assert source.calibration_preprocessed.shape == (0, 3, 8, 8)


def test_evaluation_data_prove_parity_for_a_task_without_a_metric(
    project: Project, output: Path, registry: Registry
) -> None:
    recipe = project(target='[[target]]\nformat = "fake"\nprecision = ["fp32"]')
    text = recipe.read_text().replace('"classify"', '"tensors"')
    left_out = ("labels", "calibration")
    lines = text.splitlines(keepends=True)
    recipe.write_text("".join(line for line in lines if not line.startswith(left_out)))
    result = edgeprep.convert(recipe, output, registry=registry)
    (variant,) = result.variants
    assert result.manifest.source.metric is None
    assert variant.parity.samples == 16
    assert variant.metric is not None
    assert variant.metric.name.endswith(" with the source")
    assert variant.metric.samples == 24


STEPS = [
    "load the network",
    "read the data, placement 'split'",
    "score the source",
    "fake-fp32",
    "fake-int8",
    "pack",
]


def test_every_step_is_told_in_order(project: Project, output: Path, registry: Registry) -> None:
    told: list[str] = []

    @contextmanager
    def progress(title: str) -> Iterator[Callable[[str], None]]:
        yield lambda result: told.append(f"{title}: {result}")

    other = 'evaluation = { factory = "data:pictures", arguments = { size = 14 } }'
    edgeprep.convert(project(data=other), output, registry=registry, progress=progress)
    assert [line.partition(":")[0] for line in told] == STEPS
    assert told[1].endswith("calibration: 24 samples; evaluation: 24 samples")


@pytest.mark.parametrize(
    ("step", "moment"),
    [*((step, "enter") for step in STEPS), *((step, "done") for step in STEPS if step != "pack")],
)
def test_an_interrupt_in_any_step_leaves_no_temporary_file_and_the_old_output(
    project: Project, output: Path, registry: Registry, tmp_path: Path, step: str, moment: str
) -> None:
    @contextmanager
    def progress(title: str) -> Iterator[Callable[[str], None]]:
        def done(_: str) -> None:
            if (title, moment) == (step, "done"):
                raise KeyboardInterrupt("here")

        if (title, moment) == (step, "enter"):
            raise KeyboardInterrupt("here")
        yield done

    output.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt, match=r"^here$"):
        edgeprep.convert(project(), output, overwrite=True, registry=registry, progress=progress)
    assert output.read_bytes() == b"old"
    assert left_behind(tmp_path) == ["small.edgeprep"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            '[[target]]\nformat = "fak"\nprecision = ["fp32"]',
            "target[0].format: ",
        ),
        (
            '[[target]]\nformat = "fake"\nprecision = ["fp16"]',
            "target[0].precision: 'fake' offers 'fp32', 'int8', got 'fp16'",
        ),
        (
            '[[target]]\nformat = "fake"\nprecision = ["fp32"]\nopset = 3',
            "target[0].opset: unknown key; known here: 'format', 'precision', 'keep_float'",
        ),
        (
            '[[target]]\nformat = "fake"\nprecision = ["fp32"]\nkeep_flaot = ["head"]',
            "target[0].keep_flaot: unknown key; did you mean 'keep_float'?",
        ),
        (
            '[[target]]\nformat = "fake"\nprecision = ["fp32"]\nkeep_float = ["feature.*"]',
            "target[0].keep_float[0]: must match a module of the network, got 'feature.*'",
        ),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_its_path(
    project: Project, output: Path, registry: Registry, target: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=r"^target\[0\]") as fault:
        edgeprep.convert(project(target=target), output, registry=registry)
    assert str(fault.value).startswith(message)


@pytest.mark.parametrize("work", [edgeprep.convert, search], ids=["convert", "search"])
def test_a_recipe_for_training_alone_is_refused(
    project: Project, output: Path, registry: Registry, work: Callable[..., Any]
) -> None:
    words = (output,) if work is edgeprep.convert else ()
    with pytest.raises(RecipeError, match=r"^target: ") as fault:
        work(load_recipe(project(target="")), *words, registry=registry)
    assert str(fault.value) == (
        "target: must name a format to write, got none; add a [[target]] with format and "
        "precision; only training does without"
    )


def test_a_misspelt_layer_of_the_last_target_is_found_before_the_first_export(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    target = (
        '[[target]]\nformat = "fake"\nprecision = ["fp32"]\n'
        '[[target]]\nformat = "fake"\nprecision = ["int8"]\nkeep_float = ["haed"]'
    )
    message = (
        r"target\[1\]\.keep_float\[0\]: must match a module of the network, got 'haed'; "
        r"did you mean 'head'\?"
    )
    with pytest.raises(RecipeError, match=f"^{message}$"):
        edgeprep.convert(project(target=target), output, registry=registry)
    assert fake.sources == {}


def test_layers_to_keep_in_float_reach_the_exporter_with_full_paths(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    target = '[[target]]\nformat = "fake"\nprecision = ["int8"]\nkeep_float = ["features.*"]'
    edgeprep.convert(project(target=target), output, registry=registry)
    assert fake.sources["int8"].keep_float == ("network.features.0", "network.features.1")


def test_the_same_recipe_gives_the_same_bytes(
    project: Project, output: Path, registry: Registry
) -> None:
    edgeprep.convert(project(), output, registry=registry)
    first = output.read_bytes()
    edgeprep.convert(project(), output, registry=registry, overwrite=True)
    assert output.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("recipe.toml", "a recipe or its code"),
        ("model.py", "a recipe or its code"),
        ("w.safetensors", "the weights"),
    ],
)
def test_what_the_conversion_reads_is_never_replaced(
    project: Project, registry: Registry, name: str, what: str
) -> None:
    recipe = project(model='weights = "w.safetensors"')
    (recipe.parent / "w.safetensors").write_bytes(b"precious")
    before = (recipe.parent / name).read_bytes()
    target = recipe.parent / name
    with pytest.raises(StorageError, match="which would be replaced") as fault:
        edgeprep.convert(recipe, target, overwrite=True, registry=registry)
    assert str(fault.value) == (
        f"{target}: must not be {what}, which would be replaced, got {name!r}; "
        f"name it {target.stem}.edgeprep"
    )
    assert target.read_bytes() == before


def test_the_data_of_a_film_have_a_rate(project: Project, output: Path, registry: Registry) -> None:
    recipe = project()
    frames = '[[preprocess]]\nuse = "frames"\nrate = 5\n[[preprocess]]\nuse  = "resize"'
    text = recipe.read_text().replace('[[preprocess]]\nuse  = "resize"', frames, 1)
    text = text.replace('"data:pictures" }', '"data:pictures", arguments = { size = 8 } }')
    recipe.write_text(text)
    recipe.with_name("data.py").write_text(
        recipe.with_name("data.py").read_text().replace("size + index // 3 % 3", "size")
    )
    message = (
        r"^data\.calibration: sample 0: frames: must know when pictures were taken to take so many "
        r"a second, got no time; say how many come in a second, as fps of the stream or data\.fps "
        r"of the recipe, or use every$"
    )
    with pytest.raises(DataError, match=message):
        edgeprep.convert(recipe, output, registry=registry)
    recipe.write_text(text.replace("[data]", "[data]\nfps = 20"))
    manifest = edgeprep.convert(recipe, output, registry=registry).manifest
    assert {variant.parity.samples for variant in manifest.variants} == {24 * 5 // 20}
