"""A search of a recipe whose passes look at how ranges are chosen."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from edgeprep.conversion.search import search
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Pass, Workbench
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged(Pass):
    """Looks at how ranges are chosen, as fine-tuning under simulated int8 does."""

    name: ClassVar[str] = "ranged"
    seen: ClassVar[list[str]] = []

    def apply(self, network: Any, bench: Workbench) -> Any:
        self.seen.append(bench.source.quantization.calibrator)
        return network


@pytest.fixture
def ranged(recipe: Recipe, registry: Registry) -> Recipe:
    """A recipe with that pass."""
    registry.register("ranged", SimpleNamespace(edgeprep_passes=hookimpl(lambda: [Ranged])))
    Ranged.seen.clear()
    return replace(recipe, compress=({"use": "ranged"},))


def test_a_pass_that_reads_how_ranges_are_chosen_is_done_for_each_calibrator(
    ranged: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    found = search(ranged, registry=registry)
    assert Ranged.seen == ["min-max", "mse"]
    # In float, too, for what is measured is another network.
    assert [(one.variant, one.combination.calibrator) for one in found.points] == [
        ("fake-fp32", "min-max"),
        ("fake-int8", "min-max"),
        ("fake-fp32", "mse"),
        ("fake-int8", "mse"),
    ]


def test_a_pass_that_reads_nothing_of_them_is_done_once(
    ranged: Recipe, registry: Registry, fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranged, "reads", lambda _: ())
    assert len(search(ranged, registry=registry).points) == 3
    assert Ranged.seen == ["min-max"]
