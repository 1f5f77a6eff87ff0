"""The budget of a network that knows nothing until a pass teaches it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import edgeprep
from edgeprep.conversion.ground import Ground
from edgeprep.conversion.reached import Reached, fell_after, measured_from
from edgeprep.conversion.score import Scorer
from edgeprep.data import Prepared
from edgeprep.errors import BudgetError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Need, Pass, Task, Workbench
from edgeprep.metrics import metric_for
from edgeprep.registry import Registry
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.restore import Restore

Convert = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teach(Pass):
    """Makes the network right."""

    name: ClassVar[str] = "teach"

    def apply(self, network: Any, bench: Workbench) -> Any:
        network.head.weight.data = torch.eye(3)
        return network

    def needs(self) -> tuple[Need, ...]:
        return ("imitation",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget(Pass):
    """Makes the network blind for a class; or, with two of them, no better than chance."""

    name: ClassVar[str] = "forget"
    classes: int

    def apply(self, network: Any, bench: Workbench) -> Any:
        network.head.bias.data[3 - self.classes :] = -100
        return network


class Plugin:
    @staticmethod
    @hookimpl
    def edgeprep_passes() -> list[type[Pass]]:
        return [Teach, Forget]


@pytest.fixture
def convert(
    project: Callable[..., Path], output: Path, registry: Registry, fake: SimpleNamespace
) -> Convert:
    """Converts the small project after passes, its network taking each class for another one."""
    registry.register("teaching", Plugin)

    def run(*passes: str, max_drop: float, knows: bool = False) -> Any:
        tables = "\n".join(f"[[compress]]\nuse = {one}" for one in passes)
        budget = f'[budget]\nmetric = "accuracy"\nmax_drop = {max_drop}\n'
        recipe = project(more=budget + tables)
        model = recipe.parent / "model.py"
        net = "Net(classes)" if knows else "wrong(Net(classes))"
        model.write_text(model.read_text().replace("return Net(classes)", f"return {net}"))
        with model.open("a") as file:
            file.write(
                "\n\ndef wrong(net):\n    net.head.weight.data = net.head.weight.data.roll(1, 0)\n"
                "    return net\n"
            )
        return edgeprep.convert(recipe, output, registry=registry)

    return run


TEACH = '"teach"'
BLIND, LOST = '"forget"\nclasses = 1', '"forget"\nclasses = 2'


def test_drops_are_measured_from_what_was_taught(convert: Convert, fake: SimpleNamespace) -> None:
    result = convert(TEACH, '"halve"', max_drop=0.1)
    assert result.manifest.source.value == 1.0
    assert [variant.metric.drop for variant in result.variants] == [0.0, 0.0]


def test_a_taught_network_that_then_loses_too_much_is_refused(convert: Convert) -> None:
    with pytest.raises(BudgetError, match=r"^budget\.max_drop: ") as fault:
        convert(TEACH, BLIND, max_drop=0.1)
    assert str(fault.value) == (
        "budget.max_drop: accuracy may drop by at most 0.1, got 0.3333 (to 0.6667) after "
        "compress[1] ('forget'), before any export; prune less, train longer, or allow a larger "
        "drop"
    )


@pytest.mark.parametrize(
    ("passes", "knows", "since"),
    [
        ((TEACH, LOST, '"halve"'), False, "compress[1] ('forget')"),
        (('"halve"', LOST), True, "compress[1] ('forget')"),
    ],
    ids=["taught", "came trained"],
)
def test_a_network_that_ends_at_chance_is_refused_whatever_it_may_lose(
    convert: Convert, passes: tuple[str, ...], knows: bool, since: str
) -> None:
    with pytest.raises(BudgetError, match=r"^budget: ") as fault:
        convert(*passes, max_drop=1.0, knows=knows)
    assert str(fault.value) == (
        "budget: the network must know more than one answer for all, got accuracy 0.3333, no "
        f"better than always answering 'red', which scores 0.3333, since {since}; compress less "
        "there, or train longer"
    )


def test_a_network_that_came_without_knowledge_and_is_taught_none_is_warned_of_alone(
    convert: Convert,
) -> None:
    result = convert('"halve"', max_drop=0.1)
    assert [warning for warning in result.warnings if "always answering" in warning]


@pytest.mark.parametrize(
    ("start", "chances", "expected"),
    [
        ("", ("", ""), None),
        ("no", ("", ""), None),
        ("", ("no", ""), None),
        ("", ("no", "no"), 0),
        ("no", ("", "no"), 1),
        ("no", ("no", "no"), 1),
        ("", (), None),
    ],
)
def test_the_pass_is_named_since_which_nothing_is_known(
    start: str, chances: tuple[str, ...], expected: int | None
) -> None:
    ground: Any = SimpleNamespace(
        score=0.5, scorer=SimpleNamespace(beside_chance=lambda score: start)
    )
    # The last one teaches.
    reached = [
        Reached(
            after=str(index),
            teaches=index == len(chances) - 1,
            score=0.5,
            sampled=((), 0.0),
            chance=chance,
        )
        for index, chance in enumerate(chances)
    ]
    assert fell_after(ground, reached) is (None if expected is None else reached[expected])


# What a student scores untaught, after a pass that teaches it, and after one that does not.
TASKS: dict[str, tuple[Task, str, tuple[float, float, float], float]] = {
    "a detector that is taught": (Detect(labels=("a",)), "ap50", (0.0, 0.9, 0.95), 0.9),
    "a detector that knew more": (Detect(labels=("a",)), "ap50", (0.93, 0.9, 0.95), 0.93),
    "restoration": (Restore(), "psnr", (7.0, 30.0, 31.0), 30.0),
    "less is better": (Depth(), "mean-absolute-error", (0.8, 0.1, 0.05), 0.1),
}


@pytest.mark.parametrize(("task", "metric", "scores", "expected"), TASKS.values(), ids=TASKS)
def test_the_budget_of_any_task_is_measured_from_what_was_taught(
    task: Task, metric: str, scores: tuple[float, float, float], expected: float
) -> None:
    none = Prepared(inputs=np.zeros((0, 4, 4, 3), np.uint8), labels=(), skipped=())
    scorer = Scorer(task=task, metric=metric_for(task, metric), samples=none)
    untaught, taught, pruned = scores
    ground = Ground(
        calibration=None, held_out=none, scorer=scorer, score=untaught, sampled=((), untaught)
    )
    reached = [
        Reached(after="", teaches=teaches, score=score, sampled=((), score), chance="")
        for teaches, score in ((True, taught), (False, pruned))
    ]
    found = measured_from(ground, reached)
    assert (found.score, found.sampled[1]) == (expected, expected)
