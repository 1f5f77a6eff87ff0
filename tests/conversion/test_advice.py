"""What `advise` measures and warns of, with ONNX Runtime as the only engine."""

import re
from pathlib import Path

import pytest

from edgeprep.conversion.advice import StageCost, advise, warn_of_places
from edgeprep.errors import RecipeError
from edgeprep.recipe import Recipe, load_recipe

HEAD = """
name = "costly"
{place}

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
    def recipe(*stages: str, place: str = "", format_: str = "onnx") -> Recipe:
        path = tmp_path / "recipe.toml"
        text = HEAD.format(place=place, format=format_) + "".join(stages)
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
