"""What is kept of long steps is used again only where all that it depends on is the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeprep.compress.distil import Distil
from edgeprep.compress.prune import Prune
from edgeprep.compress.quantization_aware import QuantizationAware
from edgeprep.compress.sparsify import Sparsify
from edgeprep.conversion import digests
from edgeprep.conversion.once import once
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.step_keys import ranking_key, trials_key
from edgeprep.errors import ConvertError
from edgeprep.interfaces import Pass
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry


@pytest.fixture
def keys(project: Any, output: Path, registry: Registry) -> Callable[..., tuple[str, str]]:
    """The keys of the ranking and of the trials of a recipe's int8 variant."""
    network = torch.nn.Linear(3, 3)

    def of(**recipe: str) -> tuple[str, str]:
        known = load_recipe(project(**recipe))
        plan = make_plan(known, output, overwrite=True, registry=registry)
        return ranking_key(plan, network), trials_key(plan, network, plan.variants[1])

    return of


def test_the_same_recipe_has_the_same_keys(keys: Callable[..., tuple[str, str]]) -> None:
    assert keys() == keys()


@pytest.mark.parametrize("change", ["quantizer", "engine", "processor", "augment", "train"])
def test_trials_are_not_kept_where_one_could_come_out_otherwise(
    keys: Callable[..., tuple[str, str]],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    exporter = registry.get("exporter", "fake")
    monkeypatch.setattr(exporter, "requires", ("numpy",))
    ranking, trials = keys()
    more = ""
    if change == "quantizer":
        monkeypatch.setattr(exporter, "requires", ("torch",))
    elif change == "engine":
        backend = registry.get("backend", "fakes")
        monkeypatch.setattr(backend, "versions", lambda _: {"fakes": "2"})
    elif change == "processor":
        facts = {"processor": "another", "machine": "m", "cpus": "1"}
        monkeypatch.setattr(digests, "describe_machine", lambda: facts)
    elif change == "augment":
        more = '[[augment]]\nuse = "random-noise"\nsigma = 9'
    elif change == "train":
        more = "[train]\nepochs = 3"
    other = keys(more=more)
    assert other[1] != trials
    # How layers are ranked is simulated, whatever writes and runs variants.
    assert (other[0] == ranking) == (change != "augment")


def test_code_of_a_plugin_is_part_of_what_trials_depend_on(
    keys: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys()
    seen = list[type]()
    monkeypatch.setattr(digests, "_packages", lambda modules: seen.extend(modules) or {"a": "b"})
    assert keys()[1] != before[1]
    assert any("conftest" in str(module) for module in seen)


def test_what_a_factory_is_called_with_is_part_of_every_key(
    keys: Callable[..., tuple[str, str]],
) -> None:
    one = keys(model="arguments = { classes = 3 }")
    other = keys(model="arguments = { classes = 3.0 }")
    assert not set(one) & set(other)


@pytest.mark.parametrize(
    ("step", "reads"),
    [
        (Distil(teacher="recipe.toml"), ()),
        (Sparsify(ratio=0.5), ()),
        (Prune(ratio=0.5), ()),
        (Prune(speedup=2.0), ("speed",)),
        (QuantizationAware(), ("quantization",)),
    ],
    ids=["distil", "sparsify", "prune to a share", "prune to a speed", "quantization-aware"],
)
def test_a_pass_reads_no_more_than_it_works_with(step: Pass, reads: tuple[str, ...]) -> None:
    assert step.reads() == reads


def test_what_fails_once_is_not_done_again() -> None:
    calls = []

    @once
    def work(which: str) -> str:
        calls.append(which)
        if which == "bad":
            raise ConvertError("work: must succeed, got 'bad'")
        return which.upper()

    assert [work("good"), work("good")] == ["GOOD", "GOOD"]
    faults = []
    for _ in range(2):
        with pytest.raises(ConvertError, match=r"^work: must succeed, got 'bad'$") as fault:
            work("bad")
        faults.append(fault.value)
    assert faults[0] is faults[1]
    assert calls == ["good", "bad"]
