"""The evaluation: what a bundle's variants score here, and which of them cannot run."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import edgeprep
from edgeprep.conversion import evaluate, evaluate_source
from edgeprep.errors import BackendError, DataError, NoUsableBackend, RecipeError
from edgeprep.interfaces import Backend, Device, Model, Options, Runner
from edgeprep.recipe import BudgetTable, Recipe, load_recipe
from edgeprep.registry import Registry
from edgeprep.tasks.classify import Classify


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
    scores = {score.candidate.variant: (score.values, score.drops) for score in evaluation.scores}
    assert scores == {
        "fake-fp32": ({"accuracy": 1.0}, {"accuracy": 0.0}),
        "fake-int8": ({"accuracy": 1.0}, {"accuracy": 0.0}),
    }
    assert evaluation.scores[0].confusion.tolist() == [[8, 0, 0], [0, 8, 0], [0, 0, 8]]
    assert [one.f1 for one in evaluation.scores[0].classes] == [1.0, 1.0, 1.0]
    assert evaluation.to_json()["rejected"] == []


def test_a_score_on_fewer_samples_has_no_drop(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    evaluation = evaluate(output, recipe, limit=6, registry=registry)
    assert [score.drops for score in evaluation.scores] == [{}, {}]


def test_a_score_on_as_many_other_samples_has_no_drop(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    data = recipe.directory / "data.py"
    data.write_text(data.read_text().replace("default_rng(3)", "default_rng(4)"))
    evaluation = evaluate(output, recipe, registry=registry)
    assert evaluation.samples == 24
    assert [score.drops for score in evaluation.scores] == [{}, {}]


def wrong_in_int8(fake: SimpleNamespace) -> None:
    """Move so much weight from red to blue that int8 takes every red picture for another."""
    fake.faults["int8"] = 5.0


def test_the_source_is_scored_beside_them_and_is_what_drops_are_from(
    recipe: Recipe, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    wrong_in_int8(fake)
    evaluation = evaluate(
        output, recipe, with_source=True, metrics="all", limit=6, registry=registry
    )
    source, fp32, int8 = evaluation.scores
    assert str(source.candidate) == "source torch cpu"
    assert (evaluation.metric, evaluation.samples) == ("accuracy", 6)
    assert source.values == fp32.values
    assert set(fp32.drops.values()) == {0.0}
    # Everything is blue then: a third is right, and only blue has a recall, of 1.
    assert int8.confusion.tolist() == [[0, 0, 2], [0, 0, 2], [0, 0, 2]]
    assert int8.values["accuracy"] == pytest.approx(1 / 3)
    assert int8.values["f1-macro"] == pytest.approx(1 / 3 * 1 / 2)
    assert int8.drops["accuracy"] == pytest.approx(2 / 3)
    # Better when lower: what rises is a loss.
    rise = int8.values["calibration-error"] - source.values["calibration-error"]
    assert int8.drops["calibration-error"] == pytest.approx(rise)
    assert rise > 0


def test_the_source_alone_needs_no_bundle(recipe: Recipe, registry: Registry) -> None:
    evaluation = evaluate_source(recipe, registry=registry)
    (score,) = evaluation.scores
    assert (score.candidate.backend, score.values, score.drops) == ("torch", {"accuracy": 1.0}, {})
    assert evaluation.to_json()["source"] is None


def test_the_budgets_metric_comes_first_and_the_tasks_own_after_it(
    recipe: Recipe, registry: Registry
) -> None:
    budget = replace(recipe, budget=BudgetTable(metric="f1-macro", max_drop=0.1))
    evaluation = evaluate_source(budget, registry=registry)
    assert evaluation.metrics == ("f1-macro", "accuracy")
    assert evaluate_source(budget, metrics=["top-2"], registry=registry).metrics == ("top-2",)
    every = evaluate_source(budget, metrics="all", registry=registry).metrics
    assert every[:4] == ("f1-macro", "accuracy", "top-2", "precision-macro")
    assert len(every) == len(set(every)) == len(Classify.metrics)


def test_a_metric_without_a_value_on_the_data_is_an_error_or_a_reason(
    recipe: Recipe, registry: Registry
) -> None:
    reason = "roc-auc: needs samples of at least 2 classes, got those of class 0 alone"
    with pytest.raises(DataError, match=f"^{reason}$"):
        evaluate_source(recipe, metrics=["roc-auc"], limit=1, registry=registry)
    evaluation = evaluate_source(recipe, metrics="all", limit=1, registry=registry)
    assert evaluation.undefined == {"roc-auc": reason}
    assert "roc-auc" not in evaluation.scores[0].values


def test_a_candidate_that_answers_nan_is_rejected(
    recipe: Recipe, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = math.nan
    evaluation = evaluate(output, recipe, registry=registry)
    assert [score.candidate.variant for score in evaluation.scores] == ["fake-fp32"]
    (rejected,) = evaluation.rejected
    assert rejected.reason == (
        "fake-int8 fakes cpu: outputs must be finite, got NaN or infinity for 24 of 24 samples, "
        "the first is sample 0"
    )


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (
            {"labels": ["red", "blue", "green"]},
            "labels[1]: must be 'green' as in the bundle, got 'blue'",
        ),
        (
            {"labels": ["red", "green", "violet"]},
            "labels[2]: must be 'blue' as in the bundle, got 'violet'",
        ),
        ({"labels": ["red", "green"]}, "labels: must have 3 entries as in the bundle, got 2"),
        ({"scores": "sigmoid"}, "scores: must be 'softmax' as in the bundle, got 'sigmoid'"),
    ],
    ids=["order", "names", "number", "scores"],
)
def test_a_recipe_of_another_task_scores_no_bundle(
    recipe: Recipe, output: Path, registry: Registry, task: dict[str, object], fault: str
) -> None:
    other = replace(recipe, task={**recipe.task, **task})
    with pytest.raises(RecipeError, match=r"^task\.") as caught:
        evaluate(output, other, registry=registry)
    end = "; give the recipe that the bundle was made of, or convert this one"
    assert str(caught.value) == f"task.{fault}{end}"


def test_a_recipe_of_another_kind_of_task_scores_no_bundle(
    recipe: Recipe, output: Path, registry: Registry
) -> None:
    other = replace(recipe, task={"use": "tensors"})
    with pytest.raises(RecipeError, match=r"^task\.use") as caught:
        evaluate(output, other, registry=registry)
    assert str(caught.value) == (
        "task.use: must be 'classify' as in the bundle, got 'tensors'; "
        "give the recipe that the bundle was made of, or convert this one"
    )


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
