"""The evaluation: what a bundle's variants score here, and which of them cannot run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import edgeprep
from edgeprep.conversion import evaluate
from edgeprep.errors import BackendError, NoUsableBackend, RecipeError
from edgeprep.interfaces import Backend, Device, Model, Options, Runner
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry


@pytest.fixture
def recipe(project: Callable[..., Path], output: Path, registry: Registry) -> Recipe:
    """A recipe whose bundle is at `output`."""
    path = project()
    edgeprep.convert(path, output, registry=registry)
    return load_recipe(path)


@pytest.fixture
def backend(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> type[Backend]:
    """The fake backend, with a GPU that does not start."""
    (cls,) = registry.backends_for("fake")
    load = cls.load

    def load_on_cpu(self: Backend, model: Model, device: Device, options: Options) -> Runner:
        if device.kind == "gpu":
            raise BackendError("fakes: the gpu must start, got no driver")
        return load(self, model, device, options)

    devices = (Device(name="cpu", kind="cpu"), Device(name="gpu", kind="gpu"))
    monkeypatch.setattr(cls, "devices", lambda self: devices)
    monkeypatch.setattr(cls, "load", load_on_cpu)
    return cls


def test_every_variant_is_scored_against_the_recorded_source(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    evaluation = evaluate(output, recipe, registry=registry)
    # The network of the project is right by construction, on all of its 24 pictures.
    assert (evaluation.metric, evaluation.samples) == ("accuracy", 24)
    assert {score.candidate.variant: (score.value, score.drop) for score in evaluation.scores} == {
        "fake-fp32": (1.0, 0.0),
        "fake-int8": (1.0, 0.0),
    }
    assert evaluation.to_json()["rejected"] == []


def test_a_score_on_fewer_samples_has_no_drop(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    evaluation = evaluate(output, recipe, limit=6, registry=registry)
    assert [score.drop for score in evaluation.scores] == [None, None]


@pytest.mark.usefixtures("backend")
def test_a_device_that_fails_is_said_and_the_others_are_scored(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    document = evaluate(output, recipe, registry=registry).to_json()
    assert [(entry["variant"], entry["device"]) for entry in document["candidates"]] == [
        ("fake-fp32", "cpu"),
        ("fake-int8", "cpu"),
    ]
    assert [(entry["variant"], entry["device"]) for entry in document["rejected"]] == [
        ("fake-fp32", "gpu"),
        ("fake-int8", "gpu"),
    ]
    assert {entry["reason"] for entry in document["rejected"]} == {
        "fakes: the gpu must start, got no driver"
    }


@pytest.mark.usefixtures("backend")
def test_where_no_device_works_every_reason_is_named(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    with pytest.raises(NoUsableBackend, match="gpu precision=f32: rejected, fakes: the gpu must "):
        evaluate(output, recipe, prefer="gpu", registry=registry)


def test_a_recipe_without_labelled_samples_is_refused(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    bare = replace(recipe, data=replace(recipe.data, evaluation=None))
    with pytest.raises(RecipeError, match=r"^data\.evaluation: required key is missing; scores "):
        evaluate(output, bare, registry=registry)


def test_a_task_that_has_no_metric_is_refused(
    recipe: Recipe, output: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.get("task", "classify"), "metrics", ())
    with pytest.raises(
        RecipeError, match=r"^task: must be one that can be scored, got 'classify'$"
    ):
        evaluate(output, recipe, registry=registry)
