"""Tasks whose results are pictures and maps, by hand."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.schema import build
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.restore import Restore
from edgeprep.tensors import TensorSpec

FRAME = Frame(2, 3, (2, 3), (IDENTITY,))


def spec(*shape):
    return (TensorSpec(name="output", shape=shape, dtype="float32"),)


def test_levels_are_rounded_and_cut():
    values = np.float32([[[0.0, 1.0, 2.0], [-1.0, 0.5, 100.4 / 255]]])[None]
    result = Restore().decode((values,), FRAME)
    assert result.picture.tolist() == [[[0], [255], [255]], [[0], [128], [100]]]
    assert result.picture.dtype == np.uint8
    assert str(result) == "a picture of 3×2 pixels"
    assert result.to_json() == {"size": [2, 3]}


def test_the_range_says_what_is_black_and_white():
    values = np.full((1, 3, 2, 3), 0.0, np.float32)
    assert (Restore(range=(-1.0, 1.0)).decode((values,), FRAME).picture == 128).all()


def test_a_larger_picture_is_not_made_smaller():
    values = np.random.default_rng(0).random((1, 3, 4, 6), np.float32)
    result = Restore(scale=2).decode((values,), FRAME)
    assert result.picture.shape == (4, 6, 3)
    exact = np.floor(values[0].transpose(1, 2, 0) * 255 + 0.5)
    # Interpolated at the very pixels, in float32.
    assert np.abs(result.picture - exact).max() <= 1
    assert (result.picture == exact).mean() > 0.99


def test_a_map_is_at_the_size_of_the_picture_in_its_unit():
    values = np.float32([[[[1.0, 2.0]]]])
    frame = Frame(2, 4, (1, 2), (Affine.scaled(2.0, 2.0),))
    result = Depth(unit="m", scale=2.0).decode((values,), frame)
    assert result.values.tolist() == [[2.0, 2.5, 3.5, 4.0]] * 2
    assert result.picture[0, :, 0].tolist() == [0, 64, 191, 255]
    assert str(result) == "2 to 4 m, half below 3"
    assert Depth().decode((values[0],), frame).values.tolist() == [[1.0, 1.25, 1.75, 2.0]] * 2


def test_a_flat_map_is_drawn_black():
    result = Depth().decode((np.ones((1, 1, 2, 3), np.float32),), FRAME)
    assert (result.picture == 0).all()


@pytest.mark.parametrize("task", [Restore(), Depth()], ids=["restore", "depth"])
def test_results_are_values(task):
    values = np.linspace(0, 1, 6, dtype=np.float32).reshape(1, 1, 2, 3)
    first, same, other = (
        task.decode((each,), FRAME) for each in (values, values, values[:, :, ::-1])
    )
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert first != "picture"


@pytest.mark.parametrize(
    ("task", "shape", "wanted"),
    [
        (Restore(), (1, 4, 8, 8), "(1, 3, height, width) or (1, 1, height, width)"),
        (Depth(), (1, 3, 8, 8), "(1, 1, height, width) or (1, height, width)"),
    ],
    ids=["restore", "depth"],
)
def test_a_network_without_such_an_output_is_refused(task, shape, wanted):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        task.check_outputs(spec(*shape))
    assert str(caught.value) == f"task: {task.name!r} needs one output {wanted}, got [{shape}]"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"range": [1.0, 1.0]}, "task.range: must go up, got [1.0, 1.0]"),
        ({"scale": 0}, "task.scale: must be in 1..16, got 0"),
    ],
    ids=["flat range", "no scale"],
)
def test_a_wrong_table_is_refused(table, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Restore, table, "task")
    assert str(caught.value) == message
