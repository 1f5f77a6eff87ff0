"""What recipes say of networks that remember, and of clips."""

from pathlib import Path

import pytest

from edgeprep.errors import RecipeError
from edgeprep.recipe import load_recipe
from edgeprep.tensors import TensorSpec

RECIPE = """
name = "film"
[model]
factory = "model:build"
{states}
[task]
use = "video-classify"
labels = ["a", "b"]
[input]
{input}
"""
STATE = '[[model.state]]\nname = "{}"\nshape = {}\n'


def write(path: Path, *states: tuple[str, str], input: str = "") -> Path:
    text = "".join(STATE.format(name, shape) for name, shape in states)
    (path / "recipe.toml").write_text(RECIPE.format(states=text, input=input))
    return path / "recipe.toml"


def test_states_are_float32_in_their_order(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, ("hidden", "[1, 4, 2, 2]"), ("cell", "[1, 3]")))
    assert recipe.model.states == (
        TensorSpec(name="hidden", shape=(1, 4, 2, 2), dtype="float32"),
        TensorSpec(name="cell", shape=(1, 3), dtype="float32"),
    )


def test_a_network_remembers_nothing_unless_it_is_said(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    assert recipe.model.states == ()
    assert recipe.input.image.batch == 1


def test_frames_make_a_clip(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, input="frames = 8\nsize = [4, 4]"))
    assert recipe.input.image.shape() == (8, 4, 4, 3)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([("hidden", "[2, 3]")], "model.state[0].shape: must begin with 1, got [2, 3]"),
        ([("hidden", "[1]")], "model.state[0].shape: must have at least 2 items, got [1]"),
        (
            [("hidden", "[1, 65536, 1025]")],
            "model.state[0].shape: must be of at most 67108864 numbers, got [1, 65536, 1025]",
        ),
        (
            [("image", "[1, 3]")],
            "model.state[0].name: must be none that graphs have anyway, got 'image'",
        ),
        (
            [("next_hidden", "[1, 3]")],
            "model.state[0].name: must be none that graphs have anyway, got 'next_hidden'",
        ),
        (
            [("hidden", "[1, 3]"), ("hidden", "[1, 3]")],
            "model.state[1].name: must be unique, got 'hidden' again",
        ),
    ],
    ids=["batch", "axes", "size", "taken", "next", "twice"],
)
def test_a_state_that_no_graph_could_have_is_refused(
    states: list[tuple[str, str]], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, *states)
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole message
        load_recipe(path)
    assert str(caught.value) == message


def test_no_clip_is_endless(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole message
        load_recipe(write(tmp_path, input="frames = 1025"))
    assert str(caught.value) == "input.frames: must be at least 1 and at most 1024, got 1025"
