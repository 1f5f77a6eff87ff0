"""A search: its points, what it goes on from, and what it chooses."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest

from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.points import Point
from edgeprep.conversion.search import search
from edgeprep.data import WARNING
from edgeprep.errors import BudgetError, ConvertError, RecipeError, StorageError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Model, Pass, Precision, Source, Workbench
from edgeprep.recipe import Recipe, SearchTable, load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain

COSTLY = 0.28


def timeless(point: Point) -> Point:
    """What is the same each time."""
    return msgspec.structs.replace(point, latency_ms=0.0)


@pytest.fixture
def others(registry: Registry) -> None:
    """Another format, whose files are larger."""
    exporter, backend = registry.get("exporter", "fake"), registry.get("backend", "fakes")

    class OtherExporter(exporter):  # type: ignore[misc, valid-type]
        name = "other"

        def export(self, source: Source, precision: Precision) -> Model:
            files = exporter.export(self, source, precision).files
            return Model(format="other", files={**files, "padding": bytes(1000)})

    class OtherBackend(backend):  # type: ignore[misc, valid-type]
        name = "others"
        formats = ("other",)

    plugin = SimpleNamespace(
        edgeprep_exporters=hookimpl(lambda: [OtherExporter]),
        edgeprep_backends=hookimpl(lambda: [OtherBackend]),
    )
    registry.register("others", plugin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune(Pass):
    """Stands in for the one of the house: half is too much."""

    name: ClassVar[str] = "prune"
    ratio: float = 0.0

    def apply(self, network: Any, bench: Workbench) -> Any:
        if self.ratio >= 0.5:
            raise RecipeError(f"prune.ratio: must leave something, got {self.ratio}")
        return network


@pytest.fixture
def pruning(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    get = registry.get
    monkeypatch.setattr(
        registry, "get", lambda kind, name: Prune if name == "prune" else get(kind, name)
    )


class Told:
    """The titles of the steps; after `stop_at` of them it raises, as Ctrl-C does."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.titles: list[str] = []
        self.stop_at = stop_at

    @contextmanager
    def __call__(self, title: str) -> Any:
        if "calibrator" in title:
            self.titles.append(title)
            if len(self.titles) > self.stop_at:
                raise KeyboardInterrupt
        yield lambda _: None


def test_every_combination_is_a_point_and_float_is_measured_once(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    found = search(recipe, registry=registry)
    assert [(one.variant, one.combination.calibrator) for one in found.points] == [
        ("fake-fp32", "min-max"),
        ("fake-int8", "min-max"),
        ("fake-int8", "mse"),
    ]
    assert found.data == "evaluation"
    assert found.left == 0
    assert all(one.latency_ms > 0 and one.value == 1.0 for one in found.points)


def test_the_quickest_point_within_the_budget_is_chosen_and_its_recipe_makes_it(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = COSTLY
    found = search(recipe, registry=registry)
    assert found.chosen.variant == "fake-fp32"
    assert [(one.format, one.precision) for one in found.recipe.target] == [("fake", ("fp32",))]
    assert found.recipe.budget == recipe.budget


def test_a_search_that_was_ended_goes_on_where_it_was(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    with pytest.raises(KeyboardInterrupt):  # noqa: PT011 -- it says nothing
        search(recipe, registry=registry, progress=Told(stop_at=2))
    told = Told()
    found = search(recipe, registry=registry, progress=told)
    assert told.titles == ["fake-int8, not pruned, placement 'split', calibrator 'mse'"]
    told = Told()
    again = search(recipe, registry=registry, progress=told)
    assert again.points == found.points
    assert told.titles == []


# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_search_that_was_killed_goes_on_where_it_was(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    child = os.fork()
    if not child:
        told = Told()

        @contextmanager
        def killing(title: str) -> Any:
            with told(title) as done:
                if len(told.titles) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield done

        search(recipe, registry=registry, progress=killing)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    told = Told()
    found = search(recipe, registry=registry, progress=told)
    assert len(told.titles) == 2
    whole = search(recipe, registry=registry, fresh=True)
    assert list(map(timeless, found.points)) == list(map(timeless, whole.points))


def test_a_fresh_search_measures_everything_again(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    search(recipe, registry=registry)
    told = Told()
    search(recipe, registry=registry, fresh=True, progress=told)
    assert len(told.titles) == 3


def test_when_time_is_up_no_point_is_begun_and_those_left_are_counted(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    search(replace(recipe, search=SearchTable(calibrator=("min-max",))), registry=registry)
    told = Told()
    found = search(recipe, minutes=1e-9, registry=registry, progress=told)
    assert (found.left, told.titles) == (1, [])
    assert len(found.points) == 2


@pytest.fixture
def one_point_long(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A progress by which time is up while the first point is measured."""
    told, clock = Told(), [0.0]
    monkeypatch.setattr("edgeprep.conversion.search.monotonic", lambda: clock[0])

    @contextmanager
    def progress(title: str) -> Any:
        with told(title) as done:
            clock[0] += 1e6 * len(told.titles)
            yield done

    return progress


def test_time_that_is_up_within_a_combination_ends_it_there(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, one_point_long: Any
) -> None:
    found = search(recipe, registry=registry, progress=one_point_long)
    assert [one.variant for one in found.points] == ["fake-fp32"]
    assert found.left == 2


def test_a_point_is_not_chosen_while_what_comes_with_it_is_not_measured(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, one_point_long: Any
) -> None:
    both = replace(
        recipe,
        quantize=replace(recipe.quantize, weight_range="both"),
        search=SearchTable(precision=("int8",), calibrator=("mse",)),
    )
    with pytest.raises(ConvertError, match=r"^search: must measure a point, got no time for one$"):
        search(both, registry=registry, progress=one_point_long)
    found = search(both, registry=registry)
    assert [one.variant for one in found.points] == ["fake-int8-full", "fake-int8-reduced"]


def test_a_search_without_time_for_one_point_says_so(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    with pytest.raises(ConvertError, match=r"^search: must measure a point, got no time for one$"):
        search(recipe, minutes=1e-9, registry=registry)


def test_a_way_that_fails_is_a_point_with_its_fault(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = float("nan")
    found = search(recipe, registry=registry)
    failed = [one for one in found.points if one.value is None]
    assert len(failed) == 2
    assert failed[0].fault.startswith("fake-int8: must agree with the source within 5e-01")
    assert found.front == (found.chosen,)


def test_what_failed_before_is_tried_again(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = float("nan")
    search(recipe, registry=registry)
    del fake.faults["int8"]
    told = Told()
    found = search(recipe, registry=registry, progress=told)
    assert [title[:9] for title in told.titles] == ["fake-int8", "fake-int8"]
    assert all(one.value == 1.0 for one in found.points)


def test_no_point_within_the_budget_is_told_with_the_nearest(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults["int8"] = COSTLY
    only_int8 = replace(
        recipe,
        search=SearchTable(precision=("int8",), calibrator=("mse",)),
    )
    with pytest.raises(BudgetError) as fault:  # noqa: PT011 -- whole, below
        search(only_int8, registry=registry)
    message = str(fault.value)
    assert message.startswith("budget: accuracy may drop by at most 0.01, got fake-int8 0.")
    assert message.endswith("at best of 1 points (not pruned, placement 'split', calibrator 'mse')")
    reached = fault.value.reached  # type: ignore[attr-defined]
    assert [one["variant"] for one in reached["front"]] == ["fake-int8"]
    assert (reached["front"], reached["left"]) == (reached["points"], 0)


def test_points_are_scored_on_validation_data_where_there_are_some(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    data = replace(recipe.data, validation={"factory": "data:pictures", "arguments": {"count": 12}})
    found = search(replace(recipe, data=data), registry=registry)
    assert found.data == "validation"
    assert found.recipe.data.evaluation == recipe.data.evaluation


def test_a_search_without_labels_is_refused(recipe: Recipe, registry: Registry) -> None:
    bare = replace(recipe, data=replace(recipe.data, evaluation=None), budget=None)
    message = r"^data\.validation: required key is missing; a search needs labelled samples$"
    with pytest.raises(RecipeError, match=message):
        search(bare, registry=registry)


def test_one_ratio_that_cannot_be_is_a_failed_point_and_the_others_are_measured(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, pruning: None
) -> None:
    table = SearchTable(prune=(0.75, 0.25), calibrator=("min-max",))
    found = search(replace(recipe, search=table), registry=registry)
    assert [(one.combination.prune, one.variant, one.fault) for one in found.points] == [
        (0.75, "fake-fp32", "compress[0].ratio: must leave something, got 0.75"),
        (0.75, "fake-int8", "compress[0].ratio: must leave something, got 0.75"),
        (0.25, "fake-fp32", ""),
        (0.25, "fake-int8", ""),
    ]
    assert found.chosen.combination.prune == 0.25
    # It may have been for want of memory.
    told = Told()
    search(replace(recipe, search=table), registry=registry, progress=told)
    assert [title[:9] for title in told.titles] == ["fake-fp32", "fake-int8"]
    assert all("pruned by 0.75" in title for title in told.titles)


def test_a_search_that_names_no_ratio_prunes_as_the_recipe_does(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, pruning: None
) -> None:
    own = replace(
        recipe,
        compress=({"use": "prune", "ratio": 0.25},),
        search=SearchTable(precision=("fp32",), calibrator=("mse",)),
    )
    found = search(own, registry=registry)
    assert found.recipe.compress == own.compress
    assert str(found.chosen.combination) == (
        "pruned as the recipe says, placement 'split', calibrator 'mse'"
    )
    none = replace(own, search=replace(own.search, prune=(0.0,)))
    assert search(none, registry=registry).recipe.compress == ()


def test_what_fails_in_every_way_is_told_as_it_is(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, pruning: None
) -> None:
    table = SearchTable(prune=(0.5, 0.75), calibrator=("min-max",))
    message = r"^compress\[0\]\.ratio: must leave something, got 0\.5$"
    with pytest.raises(RecipeError, match=message):
        search(replace(recipe, search=table), registry=registry)


def test_ways_of_which_none_can_be_used_are_a_budget_that_is_not_kept(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.faults |= {"fp32": 2.0, "f32": 2.0, "int8": 2.0}
    table = replace(recipe, search=SearchTable(calibrator=("mse",)))
    message = (
        "got 2 points that cannot be used:\n"
        "  fake-fp32, not pruned, placement 'split', calibrator 'mse': fake-fp32: must agree with "
        "the source within 1e-04 of its largest output, got 2.00e+00 on 16 samples\n"
        "  fake-int8, not pruned, placement 'split', calibrator 'mse': fake-int8: must agree with "
        "the source within 5e-01 of its largest output, got 2.00e+00 on 16 samples"
    )
    with pytest.raises(BudgetError) as fault:  # noqa: PT011 -- whole, below
        search(table, registry=registry)
    assert str(fault.value) == f"budget: accuracy may drop by at most 0.01, {message}"
    assert [one["variant"] for one in fault.value.reached["points"]] == ["fake-fp32", "fake-int8"]  # type: ignore[attr-defined]
    with pytest.raises(ConvertError) as fault:  # noqa: PT011 -- whole, below
        search(replace(table, budget=None), registry=registry)
    assert str(fault.value) == f"search: must measure a point, {message}"


def test_warnings_are_told_by_a_search_that_has_nothing_left_to_measure_too(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    told: list[str] = []

    @contextmanager
    def progress(title: str) -> Any:
        yield told.append if title == WARNING else lambda _: None

    first = search(recipe, registry=registry)
    found = search(recipe, registry=registry, progress=progress)
    assert first.warnings == found.warnings == tuple(told)
    assert told == [
        (
            "24 of the 24 pictures of data.evaluation are in data.calibration, too, identical "
            "to the pixel; a score on them says little of new pictures"
        )
    ]


def test_a_search_beside_another_one_of_the_same_recipe_is_refused(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    inside: list[str] = []

    @contextmanager
    def progress(title: str) -> Any:
        if "calibrator" in title:
            with pytest.raises(StorageError) as fault:  # noqa: PT011 -- whole, below
                search(recipe, registry=registry)
            inside.append(str(fault.value))
        yield lambda _: None

    search(recipe, registry=registry, progress=progress)
    assert set(inside) == {
        "search: must be the only one of its recipe, got another one under way; wait for its end"
    }


def test_a_precision_that_no_format_offers_is_told_with_those_that_are(
    recipe: Recipe, registry: Registry
) -> None:
    table = SearchTable(precision=("bf16",))
    with pytest.raises(RecipeError) as fault:  # noqa: PT011 -- whole, below
        search(replace(recipe, search=table), registry=registry)
    assert str(fault.value) == (
        "search.precision: must have one of those that formats offer, "
        "{'fake': ['fp32', 'int8']}, got ['bf16']"
    )


def test_one_plan_is_made_for_a_network_and_its_chain_is_closed(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, closed = [], []
    monkeypatch.setattr(
        "edgeprep.conversion.space.make_plan",
        lambda *args, **more: planned.append(make_plan(*args, **more)) or planned[-1],
    )
    monkeypatch.setattr(Chain, "close", lambda chain: closed.append(id(chain)))
    search(recipe, registry=registry)
    assert len(planned) == 1
    assert id(planned[0].chain) in closed


def test_only_options_that_compute_as_the_scored_ones_are_timed(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = registry.get("backend", "fakes")
    load, hints = backend.load, []

    def seen(self: Any, model: Model, device: Any, options: Mapping[str, Any]) -> Any:
        hints.append(options.get("precision"))
        return load(self, model, device, options)

    monkeypatch.setattr(backend, "load", seen)
    search(replace(recipe, search=SearchTable(precision=("fp32",))), registry=registry)
    assert set(hints) == {"f32"}


def test_memory_is_measured_where_it_is_limited_and_the_limit_holds(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_ = {"fp32": 9_000_000, "int8": 3_000_000}
    monkeypatch.setattr(
        "edgeprep.conversion.limits.measure_footprint",
        lambda _, model, *__: bytes_[model.files["model.fake"].decode()],
    )
    assert {one.memory_mb for one in search(recipe, registry=registry).points} == {None}
    limited = replace(recipe, budget=replace(recipe.budget, max_memory_mb=4.0))  # type: ignore[type-var]
    found = search(limited, registry=registry)
    assert [one.memory_mb for one in found.points] == [9.0, 3.0, 3.0]
    assert found.chosen.variant == "fake-int8"
    assert [one.precision for one in found.recipe.target] == [("int8",)]
    tight = replace(recipe, budget=replace(recipe.budget, max_memory_mb=2.0))  # type: ignore[type-var]
    with pytest.raises(BudgetError, match=r"by at most 0\.01, within 2 MB of memory, got fake-"):
        search(tight, registry=registry)


def test_the_chosen_recipe_has_the_one_format_that_was_chosen(
    project: Callable[..., Path], registry: Registry, fake: SimpleNamespace, others: None
) -> None:
    table = '\nprecision = ["fp32", "int8"]\n'
    targets = f'[[target]]\nformat = "fake"{table}[[target]]\nformat = "other"{table}'
    budget = '[budget]\nmetric = "accuracy"\nmax_drop = 0.01\nmax_size_mb = 0.0005'
    recipe = replace(
        load_recipe(project(target=targets, more=budget)),
        search=SearchTable(calibrator=("min-max",)),
    )
    found = search(recipe, registry=registry)
    assert [(one.format, one.precision) for one in found.recipe.target] == [
        ("fake", (found.chosen.precision,))
    ]


def test_of_two_tables_of_a_format_each_says_how_its_precisions_are_made(
    project: Callable[..., Path], registry: Registry, fake: SimpleNamespace
) -> None:
    table = '[[target]]\nformat = "fake"\nprecision = '
    recipe = replace(
        load_recipe(project(target=f'{table}["int8"]\nkeep_float = ["head"]\n{table}["fp32"]')),
        search=SearchTable(calibrator=("min-max",)),
    )
    found = search(recipe, registry=registry)
    assert [one.variant for one in found.points] == ["fake-int8", "fake-fp32"]
    assert fake.sources["int8"].keep_float == ("network.head",)
    assert fake.sources["fp32"].keep_float == ()
    assert found.recipe.target == tuple(
        one for one in recipe.target if one.precision == (found.chosen.precision,)
    )


def test_a_point_of_a_wider_search_is_not_chosen_in_a_narrower_one(
    recipe: Recipe, registry: Registry, fake: SimpleNamespace
) -> None:
    search(recipe, registry=registry)
    told = Told()
    narrow = replace(recipe, search=SearchTable(precision=("fp32",), calibrator=("min-max",)))
    found = search(narrow, registry=registry, progress=told)
    assert [one.variant for one in found.points] == ["fake-fp32"]
    assert told.titles == []


def test_the_data_that_are_read_are_called_as_the_recipe_does(
    project: Callable[..., Path], registry: Registry, fake: SimpleNamespace
) -> None:
    validation = 'validation = { factory = "data:pictures", arguments = { count = 12 } }'
    more = '[budget]\nmetric = "accuracy"\nmax_drop = 0.01'
    evaluation = 'evaluation = { factory = "data:pictures" }'
    recipe = load_recipe(project(data=f"{validation}\n{evaluation}", more=more))
    told: dict[str, str] = {}

    @contextmanager
    def progress(title: str) -> Iterator[Callable[[str], None]]:
        yield lambda text: told.update({title: text})

    assert search(recipe, registry=registry, progress=progress).data == "validation"
    read = told["read the data, placement 'split'"]
    assert read == "calibration: 24 samples; validation: 12 samples"
