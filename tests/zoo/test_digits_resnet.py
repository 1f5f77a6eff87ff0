"""The zoo's teacher: what its card and its weights promise, and that its student can use it."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from edgeprep.compress.distil import Distil
from edgeprep.conversion.plan import make_plan
from edgeprep.data import build_reader, load_factory
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tasks.classify import Classify
from edgeprep.train.network import load_network

ZOO = Path(__file__).resolve().parents[2] / "model_zoo"
MODEL, STUDENT = ZOO / "digits-resnet", ZOO / "digits-mobilenet"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(MODEL / "recipe.toml")


def test_weights_are_float32_and_below_four_megabytes() -> None:
    path = MODEL / "weights.safetensors"
    assert path.stat().st_size < 4_000_000
    with safe_open(path, "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    # I64: the batch counters of the normalizations.
    assert types == {"F32", "I64"}


def test_it_names_held_out_digits_at_least_as_well_as_its_student_has_to(recipe: Recipe) -> None:
    table = {**(recipe.data.evaluation or {}), "limit": 200}
    samples = build_reader(table, "data.evaluation").open(
        directory=MODEL, where="data.evaluation", task=Classify(labels=tuple(recipe.task["labels"]))
    )
    host, graph = Chain.of_recipe(recipe, default_registry()).cut("split")
    model = torch.nn.Sequential(ChainModule(graph), load_network(recipe.model, MODEL)).eval()
    pictures, labels = zip(*samples, strict=True)
    with torch.inference_mode():
        rows = np.concatenate([host.prepare(picture) for picture in pictures])
        answers = model(torch.from_numpy(rows)).argmax(1)
    assert np.mean(answers.numpy() == np.array(labels)) >= 0.97


def test_teacher_and_student_are_judged_on_the_same_pictures() -> None:
    for name in ("data:evaluation", "data:calibration"):
        # The same function of the same module, so that nothing of it is there twice.
        assert load_factory(name, MODEL, "data") is load_factory(name, STUDENT, "data")


def test_the_pipeline_starts_from_the_student_and_its_teacher(tmp_path: Path) -> None:
    pipeline = load_recipe(STUDENT / "pipeline.toml")
    plan = make_plan(
        pipeline, tmp_path / "a.edgeprep", overwrite=False, registry=default_registry()
    )
    assert [step.name for step in plan.passes] == ["prune", "distil"]
    distil = plan.passes[1]
    assert isinstance(distil, Distil)
    assert distil.files(STUDENT)[0] == STUDENT / "../digits-resnet/recipe.toml"
    assert {variant.name for variant in plan.variants} == {
        "onnx-int8",
        "openvino-int8",
        "tflite-int8",
    }
    student = load_recipe(STUDENT / "recipe.toml")
    assert (pipeline.model, pipeline.task, pipeline.preprocess, pipeline.budget) == (
        student.model,
        student.task,
        student.preprocess,
        student.budget,
    )


def test_training_draws_other_pictures_in_every_epoch_and_none_of_the_others() -> None:
    def drawn(name: str, **keys: Any) -> list[bytes]:
        samples = load_factory(f"data:{name}", STUDENT, "data")(**keys)
        return [picture.tobytes() for picture, _ in islice(samples, 20)]  # type: ignore[call-overload]

    first, again, second = (drawn("training", epoch=epoch) for epoch in (0, 0, 1))
    assert first == again
    pictures = [*first, *second, *drawn("calibration"), *drawn("evaluation")]
    assert len(set(pictures)) == len(pictures) == 80
