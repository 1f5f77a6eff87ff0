"""The recipe that the README shows is one."""

from pathlib import Path

from edgeprep.combine import build_combiner
from edgeprep.recipe import load_ensemble_recipe
from edgeprep.schema import build
from edgeprep.tasks.classify import Classify


def test_the_recipe_of_the_readme_is_read():
    recipe = load_ensemble_recipe(Path(__file__).parent / "digits-together.toml")
    assert [(one.bundle, one.weight, one.prefer) for one in recipe.member] == [
        ("digits-mobilenet.edgeprep", 1.0, None),
        ("digits-resnet.edgeprep", 2.0, "int8"),
    ]
    task = build(Classify, {"labels": recipe.task["labels"]}, "task")
    assert build_combiner(recipe.combine, task).name == "average"
    assert (recipe.budget.metric, recipe.budget.min_gain) == ("accuracy", 0.0)
