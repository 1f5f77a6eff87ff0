"""Tasks whose results are pictures and maps, by hand."""

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.registry import Registry
from edgeprep.schema import build
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
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
    # A chess board of 4×6: every pixel a value of its own, in levels as they come out.
    board = np.indices((4, 6)).sum(axis=0) % 2
    values = (10 + 200 * board).astype(np.float32) / np.float32(255)
    result = Restore(scale=2).decode((values[None, None],), FRAME)
    assert (
        result.picture[:, :, 0].tolist()
        == [
            [10, 210, 10, 210, 10, 210],
            [210, 10, 210, 10, 210, 10],
        ]
        * 2
    )


def test_a_picture_of_another_scale_is_refused():
    # A network that makes no picture larger must not pass for one that does.
    for scale, shape in ((2, (1, 3, 2, 3)), (1, (1, 3, 8, 12))):
        with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
            Restore(scale=scale).decode((np.zeros(shape, np.float32),), FRAME)
        assert str(caught.value) == (
            f"output: must be [{2 * scale}, {3 * scale}] pixels, task.scale times what the network "
            f"sees, got {list(shape[2:])}"
        )
    # What is resized before may be brought back by the network, or here.
    small = Frame(4, 6, (2, 3), (Affine.scaled(2.0, 2.0),))
    for shape in ((1, 3, 2, 3), (1, 3, 4, 6)):
        assert Restore().decode((np.zeros(shape, np.float32),), small).picture.shape == (4, 6, 3)


def test_what_a_crop_leaves_out_cannot_be_restored():
    crop = Frame(96, 96, (32, 32), (Affine.scaled(1.0, 1.0, 32.0, 30.0),))
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        Restore().decode((np.zeros((1, 3, 32, 32), np.float32),), crop)
    assert str(caught.value) == (
        "preprocess: task 'restore' must show all of the [96, 96] pixels of a picture, got up to "
        "34 left out"
    )


SPATIAL = [Detect(labels=("a",)), Segment(labels=("a", "b")), Restore(), Depth()]


@pytest.mark.parametrize("task", SPATIAL, ids=lambda task: task.name)
def test_results_in_the_picture_need_to_know_where_it_is(task):
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        task.decode((np.zeros((1, 1, 2, 3), np.float32),))
    assert str(caught.value) == (
        f"frame: task {task.name!r} must know where the network looks, got None"
    )


def test_there_are_no_other_tasks_in_the_picture():
    spatial = {cls for cls in Registry(installed=False).classes("task") if cls.spatial}
    assert spatial == set(map(type, SPATIAL))


def test_a_map_is_not_known_where_the_network_does_not_look():
    crop = Frame(1, 3, (1, 2), (Affine.scaled(1.0, 1.0, 1.0, 0.0),))
    result, same = (Depth().decode((np.float32([[[2.0, 5.0]]]),), crop) for _ in range(2))
    assert np.isnan(result.values).tolist() == [[True, False, False]]
    assert result == same
    assert str(result) == "2 to 5, half below 3.5"
    assert result.picture[..., 0].tolist() == [[0, 0, 255]]
    assert result.to_json()["percentiles"]["50"] == 3.5


def test_json_says_how_far_a_map_goes():
    # Of as many pixels as a small camera has, which are no text to read.
    values = np.arange(101 * 400, dtype=np.float32).reshape(1, 101, 400) // 400
    said = Depth(unit="m").decode((values,), Frame.whole(101, 400)).to_json()
    expected = {str(share): float(share) for share in (0, 5, 25, 50, 75, 95, 100)}
    assert said == {"size": [101, 400], "unit": "m", "percentiles": expected}


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
