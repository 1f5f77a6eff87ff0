"""Any metric can be a budget's, those that are better when lower too."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import edgeprep
from edgeprep.conversion import evaluate
from edgeprep.errors import BudgetError, RecipeError
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry

Project = Callable[..., Path]
# Enough for the last class to win over the first, not enough for parity to refuse it.
COSTLY = 0.28


def budget(metric: str, max_drop: float) -> str:
    # Without repair: what is tested is what breaks a budget, and not what is done then.
    return f'[budget]\nmetric = "{metric}"\nmax_drop = {max_drop}\nrepair = []'


@pytest.mark.parametrize("metric", ["f1-macro", "top-2", "roc-auc", "recall-micro"])
def test_a_bundle_records_what_its_budget_is_in(
    project: Project, output: Path, registry: Registry, metric: str
) -> None:
    recipe = project(more=budget(metric, 0.01))
    manifest = edgeprep.convert(recipe, output, registry=registry).manifest
    assert (manifest.source.metric, manifest.source.value) == (metric, 1.0)
    for variant in manifest.variants:
        assert variant.metric is not None
        assert (variant.metric.name, variant.metric.value, variant.metric.drop) == (metric, 1.0, 0)
    evaluation = evaluate(output, load_recipe(recipe), registry=registry)
    assert evaluation.metrics == (metric, "accuracy")
    assert [score.drops for score in evaluation.scores] == [{metric: 0.0}] * 2


def test_what_is_better_when_lower_may_fall_as_far_as_it_will(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = COSTLY
    recipe = project(more=budget("calibration-error", 0.0))
    manifest = edgeprep.convert(recipe, output, registry=registry).manifest
    fp32, int8 = (variant.metric for variant in manifest.variants)
    assert fp32 is not None
    assert int8 is not None
    # The network is always right and never sure of it; the fault makes it wrong, and as unsure.
    assert int8.value < fp32.value - 0.1
    assert int8.drop == pytest.approx(int8.value - fp32.value, abs=1e-9)
    with pytest.raises(BudgetError, match=r"^budget\.max_drop: f1-macro may drop by at most 0\.0"):
        edgeprep.convert(
            project(more=budget("f1-macro", 0.0)),
            output.with_name("other.edgeprep"),
            registry=registry,
        )


def test_a_metric_that_the_task_has_not_is_refused_before_any_work(
    project: Project, output: Path, registry: Registry
) -> None:
    with pytest.raises(RecipeError, match=r"^budget\.metric") as caught:
        edgeprep.convert(project(more=budget("top-3", 0.1)), output, registry=registry)
    assert str(caught.value) == (
        "budget.metric: k must be below the number of classes, which is 3, got 'top-3'; "
        "that is 1 whatever is predicted"
    )
