"""What `advise` measures and warns of, with ONNX Runtime as the only engine."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from edgeprep.conversion.advice import StageCost, advise, warn_of_places
from edgeprep.errors import ExportError, InputError, RecipeError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import (
    Backend,
    Exporter,
    FileStage,
    Model,
    Precision,
    Primitives,
    Source,
    Stage,
)
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import Registry
from edgeprep.tensors import ImageSpec
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend

HEAD = """
name = "costly"
{place}

[input]
{input}

[model]
factory = "model:build"

[task]
use = "tensors"

[data]
calibration = {{ use = "random", samples = 2 }}

[[target]]
format = "{format}"
precision = ["fp32"]
"""
RESIZE = '[[preprocess]]\nuse = "resize"\nsize = [96, 96]\n'
UNSHARP = '[[preprocess]]\nuse = "unsharp"\nsigma = 2.0\n'
CANNY = '[[preprocess]]\nuse = "canny"\nlow = 50\nhigh = 150\nsteps = 8\n'


@pytest.fixture
def recipe(tmp_path: Path):
    def recipe(*stages: str, place: str = "", input: str = "", format_: str = "onnx") -> Recipe:
        path = tmp_path / "recipe.toml"
        text = HEAD.format(place=place, input=input, format=format_) + "".join(stages)
        path.write_text(text, encoding="utf-8")
        return load_recipe(path)

    return recipe


def test_a_filter_before_the_resize_is_warned_of_with_numbers(recipe):
    advice = advise(recipe(UNSHARP, RESIZE))
    assert advice.size == (720, 1280)
    (warning,) = advice.warnings
    found = re.fullmatch(
        r"preprocess\[0\]: unsharp before resize takes ([\d.]+) ms at 720×1280, "
        r"after it ([\d.]+) ms at 96×96 \(numpy\); the pictures are not the same: "
        r"train with the order that runs",
        warning,
    )
    assert found
    assert float(found[1]) > 10 * float(found[2])


def test_the_better_order_is_not_warned_of(recipe):
    advice = advise(recipe(RESIZE, UNSHARP))
    assert [cost.name for cost in advice.costs] == ["resize@1", "unsharp@1", "layout@1"]
    assert not any("before" in warning for warning in advice.warnings)


def test_stages_in_the_graph_are_timed_in_its_engine(recipe, monkeypatch):
    monkeypatch.setattr("edgeprep.conversion.advice._WORTH_MS", 0.0)
    advice = advise(recipe(RESIZE, CANNY))
    host, canny, _ = advice.costs
    assert (host.place, dict(host.graph_ms)) == ("host", {})
    assert (canny.place, canny.height, canny.width) == ("graph", 96, 96)
    assert canny.graph_ms["onnx"] > 0


def test_the_size_of_the_camera_may_be_said(recipe):
    advice = advise(recipe(UNSHARP, RESIZE), size=(100, 120))
    assert advice.size == (100, 120)
    assert (advice.costs[0].height, advice.costs[0].width) == (100, 120)


def test_a_size_that_does_not_fit_is_a_wrong_recipe(recipe):
    crop = '[[preprocess]]\nuse = "center-crop"\nsize = [96, 96]\n'
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        advise(recipe(crop), size=(50, 200))
    assert str(caught.value) == (
        "preprocess[0]: center-crop needs pictures of at least [96, 96] pixels, got [50, 200]; "
        "resize first, for pictures of 50×200"
    )


def test_a_format_that_cannot_be_measured_is_said(recipe, monkeypatch):
    monkeypatch.setattr("edgeprep.conversion.advice._WORTH_MS", 0.0)
    advice = advise(recipe(RESIZE, format_="quux"))
    assert advice.unmeasured["quux"].startswith("unknown exporter 'quux'")
    assert all(not cost.graph_ms for cost in advice.costs)


def cost(numpy_ms, **graph_ms):
    return StageCost(
        name="median@1",
        place="graph",
        height=224,
        width=224,
        numpy_ms=numpy_ms,
        graph_ms=graph_ms,
    )


def test_slow_graphs_are_warned_of_in_one_sentence_a_stage():
    costs = [cost(0.5, onnx=1.0), cost(2.0, onnx=6.3, tflite=7.0, openvino=2.9)]
    (warning,) = warn_of_places(costs, range(2))
    assert warning == (
        "preprocess[1]: median takes 6.3 ms in the onnx graph and 7.0 ms in the tflite graph at "
        "224×224, and 2.0 ms on the host in numpy; placement = 'host' takes it out of the graph"
    )


@pytest.mark.parametrize(("numpy_ms", "movable"), [(9.0, [0]), (2.0, [])])
def test_no_remedy_is_offered_that_is_none(numpy_ms, movable):
    (warning,) = warn_of_places([cost(numpy_ms, onnx=6.3)], movable)
    assert warning.endswith(f"and {numpy_ms} ms on the host in numpy")


def test_stages_for_training_are_checked_too(recipe):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        advise(recipe(RESIZE, '[[augment]]\nuse = "random-rotate"\ndegrees = 181\n'))
    assert str(caught.value) == ("augment[0].degrees: must be above 0 and at most 180, got 181")


NV12 = 'color = "nv12"\nsize = [96, 96]'
TO_RGB = '[[preprocess]]\nuse = "color"\nto = "rgb"\n'
TO_GREY = '[[preprocess]]\nuse = "color"\nto = "grey"\n'
FLIP = '[[preprocess]]\nuse = "flip"\naxis = "horizontal"\n'
TILE = '[[preprocess]]\nuse = "tile"\nsize = [32, 32]\n'
NORMALIZE = '[[preprocess]]\nuse = "normalize"\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n'
CLIP = '[[preprocess]]\nuse = "clip"\nlow = -1.0\nhigh = 1.0\n'
BEGINS = {
    "planes": ([TO_RGB, UNSHARP], 'placement = "graph"', NV12),
    "tiles": ([RESIZE, TILE, NORMALIZE], "", ""),
    "negative values": ([RESIZE, NORMALIZE, CLIP], "", ""),
    "no float yet": ([FLIP], 'placement = "graph"', "size = [9, 7]"),
}


@pytest.mark.parametrize("begin", BEGINS)
def test_all_stages_of_a_graph_are_measured_where_they_stand(recipe, monkeypatch, begin):
    monkeypatch.setattr("edgeprep.conversion.advice._WORTH_MS", 0.0)
    stages, place, input = BEGINS[begin]
    advice = advise(recipe(*stages, place=place, input=input))
    assert not advice.unmeasured
    for cost in advice.costs:
        assert not cost.unmeasured
        assert set(cost.graph_ms) == ({"onnx"} if cost.place == "graph" else set())


def test_what_a_stage_costs_in_a_graph_is_without_those_before_it(recipe, monkeypatch):
    monkeypatch.setattr("edgeprep.conversion.advice._WORTH_MS", 0.0)
    resize = RESIZE.replace("96", "256")
    costs = advise(recipe(resize, CANNY, place='placement = "split"')).costs
    milliseconds = {cost.name: cost.graph_ms.get("onnx", 0.0) for cost in costs}
    assert milliseconds["layout@1"] < 0.5 * milliseconds["canny@1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picky(Exporter):
    """Exports colours only."""

    name: ClassVar[str] = "picky"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32",)

    def export(self, source: Source, precision: Precision) -> Model:
        if source.network_input.shape[-1] == 1:
            raise ExportError("exporter 'picky': must be given colours, got grey")
        return OnnxExporter().export(source, precision)


class PickyBackend(OnnxRuntimeBackend):
    name: ClassVar[str] = "picky"
    formats: ClassVar[tuple[str, ...]] = ("picky",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(FileStage):
    """Changes nothing, and counts how often it is closed."""

    name: ClassVar[str] = "opened"
    file: ClassVar[str] = "path"
    closed: ClassVar[list[str]] = []

    path: str = "recipe.toml"
    size: int = 1

    @property
    def content(self) -> bytes:
        return b""

    def opened(self, content: bytes, registry: Any) -> Self:
        return self

    def output(self, image: ImageSpec) -> ImageSpec:
        return image

    def apply(self, F: Primitives[Any], x: Any, image: ImageSpec) -> Any:
        if self.size == 0:
            raise InputError("opened: must have a size, got 0")
        return x

    def close(self) -> None:
        self.closed.append(self.path)


class Plugin:
    @staticmethod
    @hookimpl
    def edgeprep_exporters() -> list[type[Exporter]]:
        return [Picky]

    @staticmethod
    @hookimpl
    def edgeprep_stages() -> list[type[Stage]]:
        return [Opened]


class Runs:
    @staticmethod
    @hookimpl
    def edgeprep_backends() -> list[type[Backend]]:
        return [PickyBackend]


@pytest.fixture
def own_registry(monkeypatch) -> Registry:
    monkeypatch.setattr("edgeprep.conversion.advice._WORTH_MS", 0.0)
    Opened.closed.clear()
    registry = Registry(installed=False)
    registry.register("own", Plugin)
    return registry


def test_a_stage_that_cannot_be_measured_leaves_the_others(recipe, own_registry):
    own_registry.register("runs", Runs)
    stages = (FLIP, TO_GREY, TO_RGB, FLIP)
    small = recipe(*stages, place='placement = "graph"', input="size = [9, 7]", format_="picky")
    advice = advise(small, registry=own_registry)
    measured = [sorted(cost.graph_ms) for cost in advice.costs]
    why = {"picky": "exporter 'picky': must be given colours, got grey"}
    assert measured == [["picky"], [], [], ["picky"], ["picky"]]
    assert [dict(cost.unmeasured) for cost in advice.costs] == [{}, why, why, {}, {}]
    assert advice.to_json()["stages"][1]["unmeasured"] == why
    assert advice.unmeasured == {}


def test_a_format_that_nothing_runs_here_is_said(recipe, own_registry):
    advice = advise(recipe(RESIZE, format_="picky"), registry=own_registry)
    assert advice.unmeasured == {
        "picky": "format 'picky': must have a backend that runs it here, got []; "
        "see `edgeprep doctor` for what is installed"
    }


@pytest.mark.parametrize("size", [1, 0], ids=["measured", "failed"])
def test_stages_are_closed_whatever_happens(recipe, own_registry, size):
    opened = f'[[preprocess]]\nuse = "opened"\nsize = {size}\n'
    with suppress(InputError):
        advise(recipe(RESIZE, opened, format_="picky"), registry=own_registry)
    assert Opened.closed == ["recipe.toml"]


@pytest.mark.parametrize("size", [(720, 1280), (96, 97), (95, 96), (96, 95)])
def test_a_size_against_the_recipe_is_refused(recipe, size):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        advise(recipe(UNSHARP, input="size = [96, 96]"), size=size)
    assert str(caught.value) == (
        f"size: must be [96, 96], as input.size of the recipe says, got {list(size)!r}; "
        "leave size out, or input.size"
    )


def test_the_size_of_the_recipe_may_be_said_again(recipe):
    assert advise(recipe(RESIZE, input="size = [96, 96]"), size=(96, 96)).size == (96, 96)
