"""What passes need is looked for by the plan; teachers and networks at chance are warned of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeprep
from edgeprep.compress._teacher import open_teacher
from edgeprep.errors import DataError, RecipeError
from edgeprep.registry import Registry

EVALUATION = 'evaluation = { factory = "data:pictures" }'
TRAINING = 'training = { factory = "data:pictures", arguments = { count = 24 } }'
VALIDATION = 'validation = { factory = "data:pictures", arguments = { count = 12 } }'
DISTIL = 'use = "distil"\nteacher = { factory = "model:build" }\nepochs = 1\nlearning_rate = 1e-9'
NEEDS = {
    "distil": DISTIL,
    "prune by taylor": 'use = "prune"\nratio = 0.5\nimportance = "taylor"',
    "prune and learn": 'use = "prune"\nratio = 0.5\nepochs = 1',
    "sparsify and learn": 'use = "sparsify"\nratio = 0.5\nepochs = 1',
    "quantization-aware": 'use = "quantization-aware"',
}

Project = Callable[..., Path]


@pytest.fixture
def planned(
    project: Project, output: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Plans a conversion with the passes `tables`, and does nothing of it."""
    monkeypatch.setattr("edgeprep.conversion.underway.load_network", None)

    def plan(*tables: str, data: str = "") -> None:
        more = "\n".join(f"[[compress]]\n{table}" for table in tables)
        recipe = project(more=more, data=f"{EVALUATION}\n{data}")
        edgeprep.convert(recipe, output, registry=registry)

    return plan


@pytest.mark.parametrize("table", NEEDS.values(), ids=NEEDS)
def test_a_pass_that_learns_is_refused_without_training_data(
    planned: Callable[..., None], table: str
) -> None:
    name = table.split('"')[1]
    with pytest.raises(RecipeError, match=r"needs data\.training") as caught:
        planned('use = "halve"', table)
    assert str(caught.value) == (
        f"compress[1]: pass {name!r}, as it is set, needs data.training, got none; "
        f"name pictures there, or leave {name!r} out"
    )


@pytest.mark.parametrize("use", ['"prune"\nratio = 0.5', '"sparsify"\nratio = 0.5', '"halve"'])
def test_a_pass_that_does_not_learn_needs_no_data(planned: Callable[..., None], use: str) -> None:
    # It is past the plan.
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        planned(f"use = {use}")


def test_training_data_that_are_not_there_are_found_before_any_work(
    planned: Callable[..., None],
) -> None:
    with pytest.raises(DataError, match=r"^data\.training"):
        planned(DISTIL, data='training = { use = "image-folder", path = "nowhere" }')


def test_what_a_teacher_is_not_has_one_name_before_any_work(
    planned: Callable[..., None], project: Project
) -> None:
    project().with_name("other.toml").write_text("name = 3")
    message = r"^compress\[1\]\.teacher: recipe 'other\.toml': model: required key is missing$"
    with pytest.raises(RecipeError, match=message):
        planned('use = "halve"', 'use = "distil"\nteacher = "other.toml"', data=TRAINING)


def test_a_teacher_is_looked_up_where_the_conversion_looks(
    project: Project, output: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def opening(teacher: Any, bench: Any) -> Any:
        seen.append(bench.registry)
        return open_teacher(teacher, bench)

    monkeypatch.setattr("edgeprep.compress._distil.open_teacher", opening)
    recipe = project(
        more=f"[train]\nbatch = 8\n[[compress]]\n{DISTIL}", data=f"{EVALUATION}\n{TRAINING}"
    )
    edgeprep.convert(recipe, output, registry=registry)
    assert seen == [registry]


def warnings_of(recipe: Path, output: Path, registry: Registry) -> list[str]:
    """Those of chance alone: all pictures are the same here, which is warned of, too."""
    # Each class is taken for another one.
    model = recipe.parent / "model.py"
    model.write_text(model.read_text().replace("torch.eye(classes, 3)", "WRONG(classes)"))
    with model.open("a") as file:
        file.write("\n\ndef WRONG(classes):\n    return torch.eye(classes, 3).roll(1, 0)\n")
    result = edgeprep.convert(recipe, output, registry=registry)
    return [warning for warning in result.warnings if "always answering" in warning]


MODEL = (
    "model: the network scores accuracy 0.0000, no better than always answering 'red', which "
    "scores 0.3333; are its weights loaded, and task.labels in the order of its outputs?"
)


def test_a_network_at_chance_is_warned_of(
    project: Project, output: Path, registry: Registry
) -> None:
    assert warnings_of(project(), output, registry) == [MODEL]


@pytest.mark.parametrize(("data", "where"), [(VALIDATION, "validation"), ("", "training")])
def test_a_teacher_at_chance_and_what_it_taught_are_warned_of(
    project: Project, output: Path, registry: Registry, data: str, where: str
) -> None:
    recipe = project(
        more=f"[train]\nbatch = 8\n[[compress]]\n{DISTIL}", data=f"{EVALUATION}\n{TRAINING}\n{data}"
    )
    teacher = (
        "compress[0].teacher: factory 'model:build' scores accuracy 0.0000, no better than always "
        f"answering 'red', which scores 0.3333 on data.{where}"
    )
    # The student is not warned of before it is taught.
    assert warnings_of(recipe, output, registry) == [teacher, MODEL]
