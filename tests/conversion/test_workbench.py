"""What a pass can do with the workbench of a recipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

import edgeprep
from edgeprep.compress.quantization_aware import QuantizationAware
from edgeprep.conversion import Progress, silent
from edgeprep.conversion.compression import _rate_key
from edgeprep.conversion.score import run_all
from edgeprep.conversion.search import search
from edgeprep.errors import BudgetError, RecipeError, TrainingError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Objective, Pass, Workbench
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain

TRAINING = """
training   = { factory = "data:pictures", arguments = { count = 24 } }
validation = { factory = "data:pictures", arguments = { count = 12 } }
"""
TRAIN = "[train]\nseed = 7\nepochs = 8\nbatch = 8\nwarmup_epochs = 4\nstep_epochs = 4\n"
COMPRESS = '[[compress]]\nuse = "try"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Try(Pass):
    """Does what a test asks for."""

    name: ClassVar[str] = "try"
    work: ClassVar[Callable[[Any, Workbench], Any]]

    def apply(self, network: Any, bench: Workbench) -> Any:
        return type(self).work(network, bench)


class Plugin:
    @staticmethod
    @hookimpl
    def edgeprep_passes() -> list[type[Pass]]:
        return [Try]


@pytest.fixture
def convert(
    project: Any, output: Path, registry: Registry, fake: SimpleNamespace
) -> Callable[..., Any]:
    """Converts the small project with a pass that does `work(network, bench)`."""
    registry.register("try", Plugin)

    def run(
        work: Callable[[Any, Workbench], Any],
        *,
        more: str = "",
        data: str = TRAINING,
        progress: Progress = silent,
    ) -> Any:
        Try.work = staticmethod(work)  # type: ignore[assignment]
        evaluation = 'evaluation  = { factory = "data:pictures" }'
        recipe = project(more=f"{TRAIN}\n{COMPRESS}\n{more}", data=f"{evaluation}\n{data}")
        return edgeprep.convert(
            recipe, output, registry=registry, overwrite=True, progress=progress
        )

    return run


def test_training_data_come_as_the_network_takes_them(convert: Callable[..., Any]) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def work(network: Any, bench: Workbench) -> Any:
        seen.extend(bench.batches(10))  # type: ignore[arg-type]
        return network

    convert(work)
    inputs = torch.cat([inputs for inputs, _ in seen])
    labels = torch.cat([labels for _, labels in seen])
    assert inputs.shape == (10, 3, 8, 8)
    assert inputs.dtype == torch.float32
    assert labels.tolist() == [index % 3 for index in range(10)]
    # Normalized: the brightest channel is the class.
    assert inputs.mean((2, 3)).argmax(1).tolist() == labels.tolist()


def test_a_network_learns_and_its_training_is_not_done_twice(convert: Callable[..., Any]) -> None:
    weights, epochs = [], []

    def work(network: Any, bench: Workbench) -> Any:
        start = deepcopy(network.state_dict())
        for _ in range(2):
            network.load_state_dict(start)
            trained = bench.fine_tune(network, name="once", epochs=2, learning_rate=0.05)
            weights.append(deepcopy(trained.state_dict()))
        rows = (bench.storage / "once" / "metrics.jsonl").read_text().splitlines()
        epochs.append(len(rows))
        assert not torch.equal(weights[0]["head.weight"], start["head.weight"])
        assert not trained.training
        return trained

    convert(work)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    # Warm-up and steps are cut down with the epochs, or two would all be warm-up.
    assert epochs == [2]


def test_pictures_that_are_learned_from_and_judged_by_are_warned_of_once_with_their_count(
    convert: Callable[..., Any],
) -> None:
    told = []

    @contextmanager
    def progress(title: str) -> Iterator[Callable[[str], None]]:
        yield lambda text: told.append(f"{title}: {text}")

    def work(network: Any, bench: Workbench) -> Any:
        for name in ("first", "second"):
            bench.fine_tune(network, name=name, epochs=1)
        return network

    convert(work, progress=progress)
    warnings = [line for line in told if "data.evaluation are in data.training" in line]
    assert len(warnings) == 1
    assert "24 of the 24 pictures of data.evaluation are in data.training, too" in warnings[0]
    # By a conversion that takes the pass from this one, too.
    told.clear()
    result = convert(work, progress=progress)
    assert [line for line in told if line in warnings] == warnings
    assert set(warnings) <= {f"warning: {text}" for text in result.warnings}


class NoNumber(Objective):
    def loss(self, network: Any, inputs: Any, labels: Any) -> Any:
        return network(inputs).sum() * float("nan")


def test_a_loss_that_is_no_number_names_the_pass(convert: Callable[..., Any]) -> None:
    def work(network: Any, bench: Workbench) -> Any:
        return bench.fine_tune(network, name="broken", epochs=2, objective=NoNumber())

    with pytest.raises(TrainingError, match=r"^compress\[0\]: ") as fault:
        convert(work)
    start = "compress[0]: epoch 1, step 1: the loss must be finite, got nan at learning rate "
    assert str(fault.value).startswith(start)
    # This pass has no learning rate of its own.
    assert str(fault.value).endswith("; lower train.learning_rate, or set train.clip_norm")


@pytest.mark.parametrize(
    ("step", "where", "key"),
    [
        (QuantizationAware(), "compress[1]", "compress[1].learning_rate"),
        (Try(), "compress[1]", "train.learning_rate"),
        # The learning rate of a repair is in no table.
        (QuantizationAware(), "budget.repair", ""),
    ],
)
def test_a_pass_learns_more_slowly_by_its_own_key(step: Pass, where: str, key: str) -> None:
    assert _rate_key(step, where) == key


def test_what_is_random_has_the_recipes_seed(convert: Callable[..., Any]) -> None:
    seeds = []

    def work(network: Any, bench: Workbench) -> Any:
        seeds.append(bench.seed)
        return network

    convert(work)
    assert seeds == [7]


def test_a_network_is_scored_on_the_validation_data(convert: Callable[..., Any]) -> None:
    scores = []

    def work(network: Any, bench: Workbench) -> Any:
        scores.append(bench.score(network))
        broken = deepcopy(network)
        broken.head.bias.data = torch.tensor([100.0, 0.0, 0.0])
        scores.append(bench.score(broken))
        return network

    convert(work)
    assert scores == [1.0, pytest.approx(1 / 3)]


def test_without_validation_data_there_is_no_score(convert: Callable[..., Any]) -> None:
    scores = []

    def work(network: Any, bench: Workbench) -> Any:
        scores.append(bench.score(network))
        return network

    convert(work, data=TRAINING.splitlines()[1])
    assert scores == [None]


def test_speed_is_measured_in_every_format_and_what_came_is_exported_once(
    convert: Callable[..., Any], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = registry.get("exporter", "fake")
    export, exported = exporter.export, []

    def counted(self: Any, source: Any, precision: Any) -> Any:
        exported.append(source)
        return export(self, source, precision)

    monkeypatch.setattr(exporter, "export", counted)
    found = []

    def work(network: Any, bench: Workbench) -> Any:
        found.append(bench.speedups(network))
        found.append(bench.speedups(network))
        assert exported.count(bench.source) == 1
        assert len(exported) == 3
        return network

    convert(work)
    assert [set(one) for one in found] == [{"fake"}, {"fake"}]
    # The same network twice.
    assert all(0.2 < one["fake"] < 5 for one in found)


def test_a_pass_that_needs_training_data_says_so_where_there_are_none(
    convert: Callable[..., Any],
) -> None:
    def work(network: Any, bench: Workbench) -> Any:
        return bench.fine_tune(network, name="none", epochs=1)

    with pytest.raises(RecipeError, match=r"^data\.training: required key is missing"):
        convert(work, data="")


def test_a_result_is_kept_until_something_that_it_depends_on_is_changed(
    convert: Callable[..., Any], project: Any
) -> None:
    calls = []

    def work(network: Any, bench: Workbench) -> Any:
        calls.append(1)
        network.head.bias.data += 0.5
        return network

    first, second = convert(work), convert(work)
    assert len(calls) == 1
    assert first.manifest == second.manifest
    # What variants may cost is none of its business, training is.
    limits = '[budget]\nmetric = "accuracy"\nmax_drop = 0.5\nmax_size_mb = 1.0'
    convert(work, more=limits)
    assert len(calls) == 1
    convert(work, data=TRAINING.replace("count = 24", "count = 21"))
    assert len(calls) == 2


@pytest.mark.parametrize(
    "change",
    [
        '[quantize]\ncalibrator = "percentile"\npercentile = 99.0',
        '[quantize]\nkeep_float = ["head"]',
        "fps",
        "placement",
        "engine",
        "options",
        "processor",
    ],
)
def test_a_result_is_not_kept_where_a_pass_could_see_a_change(
    convert: Callable[..., Any],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    calls = []

    def work(network: Any, bench: Workbench) -> Any:
        calls.append(1)
        return network

    convert(work, data="")
    data = ""
    if change == "fps":
        data = "fps = 5.0"
    elif change == "placement":
        cut = Chain.placements
        monkeypatch.setattr(Chain, "placements", lambda self, _: cut(self, "host"))
    elif change == "engine":
        backend = registry.get("backend", "fakes")
        monkeypatch.setattr(backend, "versions", lambda _: {"fakes": "2"})
    elif change == "options":
        monkeypatch.setattr(registry.get("exporter", "fake"), "__repr__", lambda _: "opset=1")
    elif change == "processor":
        monkeypatch.setattr(
            "edgeprep.conversion.digests.describe_machine",
            lambda: {"processor": "another", "machine": "m", "cpus": "1"},
        )
    convert(work, data=data, more=change if change.startswith("[") else "")
    assert len(calls) == 2


def test_a_result_that_would_answer_otherwise_when_it_is_read_back_is_not_kept(
    convert: Callable[..., Any],
) -> None:
    calls = []

    def work(network: Any, bench: Workbench) -> Any:
        calls.append(1)
        # In no state dict, and not in how a network prints itself.
        network.head.register_forward_hook(lambda module, inputs, output: output + 1.0)
        return network

    first, second = convert(work, data=""), convert(work, data="")
    assert len(calls) == 2
    assert first.manifest.variants == second.manifest.variants


def test_a_result_is_kept_whatever_is_changed_in_what_its_pass_does_not_read(
    convert: Callable[..., Any], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def work(network: Any, bench: Workbench) -> Any:
        calls.append(1)
        return network

    monkeypatch.setattr(Try, "reads", lambda _: ())
    convert(work, data="")
    backend = registry.get("backend", "fakes")
    monkeypatch.setattr(backend, "versions", lambda _: {"fakes": "2"})
    convert(work, data="", more='[quantize]\nkeep_float = ["head"]\nweight_range = "full"')
    assert len(calls) == 1


def test_what_a_pass_did_on_the_way_is_removed_once_its_result_is_kept(
    convert: Callable[..., Any],
) -> None:
    places = []

    def work(network: Any, bench: Workbench) -> Any:
        places.append(bench.storage)
        (bench.storage / "trained").mkdir()
        (bench.storage / "trained" / "optimizer").write_text("large")
        (bench.storage / "kept.json").write_text("{}")
        return network

    convert(work, data="")
    assert [path.name for path in places[0].parent.iterdir()] == ["result.safetensors"]


@pytest.mark.parametrize("gone", ["missing.safetensors", "."])
def test_a_file_of_a_pass_that_cannot_be_read_is_told_before_any_work(
    convert: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setattr(Try, "files", lambda _, directory: (directory / gone,))
    monkeypatch.setattr("edgeprep.conversion.underway.load_network", None)
    place = r"^compress\[0\]: .*/project" + ("" if gone == "." else "/missing.safetensors")
    with pytest.raises(RecipeError, match=f"{place}: must be a "):
        convert(lambda network, _: network, data="")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            'teacher = "nowhere"',
            r"^compress\[0\]\.teacher: must be a recipe, a directory .*, got 'nowhere'",
        ),
        (
            'teacher = { factory = "model:build", weights = "gone.safetensors" }',
            (
                r"^compress\[0\]\.teacher\.weights: must be a file, got 'gone\.safetensors'; "
                r"looked for '.*/project/gone\.safetensors'$"
            ),
        ),
    ],
)
def test_a_teacher_that_is_not_there_is_told_before_any_work(
    project: Any,
    output: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    keys: str,
    message: str,
) -> None:
    monkeypatch.setattr("edgeprep.conversion.underway.load_network", None)
    recipe = project(
        data=f'evaluation = {{ factory = "data:pictures" }}\n{TRAINING}',
        more=f'[[compress]]\nuse = "distil"\n{keys}',
    )
    with pytest.raises(RecipeError, match=message):
        edgeprep.convert(recipe, output, registry=registry)
    with pytest.raises(RecipeError, match=message):
        search(load_recipe(recipe), registry=registry)


def test_a_pass_that_cannot_name_its_files_is_told_before_any_work(
    convert: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Try, "files", lambda _, directory: directory["teacher"])
    message = r"^compress\[0\]: pass 'try' must name its files, got TypeError"
    with pytest.raises(RecipeError, match=message):
        convert(lambda network, _: network, data="")


def test_a_network_that_is_over_budget_before_any_export_is_not_exported(
    convert: Callable[..., Any],
    registry: Registry,
    fake: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored = []
    monkeypatch.setattr(
        "edgeprep.conversion.underway.run_all",
        lambda *args: scored.append(args) or run_all(*args),
    )

    def work(network: Any, bench: Workbench) -> Any:
        network.head.bias.data = torch.tensor([0.0, 0.0, -100.0])
        return network

    fake.raises.append(AssertionError("exported"))
    with pytest.raises(BudgetError, match=r"^budget\.max_drop: ") as fault:
        convert(work, more='[budget]\nmetric = "accuracy"\nmax_drop = 0.1')
    assert str(fault.value) == (
        "budget.max_drop: accuracy may drop by at most 0.1, got 0.3333 (to 0.6667) after "
        "compress[0] ('try'), before any export; prune less, train longer, or allow a larger drop"
    )
    # The source, and what the pass made of it.
    assert len(scored) == 2
