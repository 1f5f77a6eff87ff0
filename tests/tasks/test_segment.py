"""Classes of pixels, by hand."""

import math

import numpy as np
import pytest

from edgeprep.errors import OutputError, RecipeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.marks import Overlay
from edgeprep.schema import build
from edgeprep.tasks.resampling import resample
from edgeprep.tasks.segment import Segment
from edgeprep.tensors import TensorSpec

FRAME = Frame(2, 3, (2, 3), (IDENTITY,))
THREE = Segment(labels=("paper", "ant", "bee"))
CLASSES = [[0, 1, 2], [1, 1, 0]]


def one_hot(classes, count=3, height=1.0):
    return np.float32(np.eye(count)[np.array(classes)].transpose(2, 0, 1)[None] * height)


def outputs(*shape):
    return (TensorSpec(name="maps", shape=shape, dtype="float32"),)


def test_every_pixel_is_of_the_class_with_the_greatest_output():
    result = THREE.decode((one_hot(CLASSES),), FRAME)
    assert result.classes.tolist() == CLASSES
    assert result.classes.dtype == np.uint8
    assert result.shares == {"paper": 2 / 6, "ant": 3 / 6, "bee": 1 / 6}
    assert str(result) == "ant 50.0%, paper 33.3%, bee 16.7%"


def test_classes_are_at_the_size_of_the_picture_that_came_in():
    large = Frame(4, 6, (2, 3), (Affine.scaled(2.0, 2.0),))
    result = THREE.decode((one_hot(CLASSES),), large)
    assert result.classes.shape == (4, 6)
    assert result.classes[[0, 0, 0, 3], [0, 2, 5, 0]].tolist() == [0, 1, 2, 1]


def test_probabilities_are_those_of_the_outputs():
    result = THREE.decode((one_hot([[1]], height=math.log(2)),), Frame(1, 1, (1, 1), (IDENTITY,)))
    assert result.probabilities[:, 0, 0].tolist() == pytest.approx([0.25, 0.5, 0.25])
    plain = Segment(labels=("a", "b"), scores="none").decode(
        (np.float32([[[[0.3]], [[0.7]]]]),), Frame(1, 1, (1, 1), (IDENTITY,))
    )
    assert plain.probabilities[:, 0, 0].tolist() == pytest.approx([0.3, 0.7])


def test_one_map_may_stand_for_two_classes():
    task = Segment(labels=("paper", "ink"), scores="sigmoid")
    task.check_outputs(outputs(1, 1, 2, 2))
    result = task.decode((np.float32([[[[math.log(3), -1.0]]]]),), Frame(1, 2, (1, 2), (IDENTITY,)))
    assert result.classes.tolist() == [[1, 0]]
    assert result.probabilities[:, 0, 0].tolist() == pytest.approx([0.25, 0.75])


def test_one_map_may_be_a_probability():
    task = Segment(labels=("paper", "ink"), scores="none")
    task.check_outputs(outputs(1, 1, 2, 2))
    result = task.decode((np.float32([[[[0.01, 0.9]]]]),), Frame.whole(1, 2))
    assert result.classes.tolist() == [[0, 1]]
    assert result.probabilities[:, 0, 0].tolist() == pytest.approx([0.99, 0.01])


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 1, 2, 3)], ids=str)
def test_a_graph_may_name_the_classes_itself(shape):
    task = Segment(labels=THREE.labels, scores="classes")
    task.check_outputs((TensorSpec(name="classes", shape=shape, dtype="int64"),))
    large = Frame(4, 6, (2, 3), (Affine.scaled(2.0, 2.0),))
    result = task.decode((np.array(CLASSES).reshape(shape),), large)
    # Between classes 0 and 2 there is no class 1.
    assert result.classes.tolist() == np.repeat(np.repeat(CLASSES, 2, 0), 2, 1).tolist()
    assert result.probabilities[:, 0, 5].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("number", [3, -1])
def test_a_class_without_a_label_is_refused(number):
    task = Segment(labels=THREE.labels, scores="classes")
    result = task.decode((np.full((1, 2, 3), number),), FRAME)
    with pytest.raises(OutputError) as caught:  # noqa: PT011 -- the whole message is compared
        result.classes  # noqa: B018 -- it is worked out here
    assert str(caught.value) == f"segment: numbers of classes must be in 0..2, got {number}"


@pytest.mark.parametrize("scores", ["softmax", "classes"])
def test_where_the_network_does_not_look_there_is_no_class(scores):
    # Of a picture of 2×3, a crop of its last two columns.
    crop = Frame(2, 3, (2, 2), (Affine.scaled(1.0, 1.0, 1.0, 0.0),))
    maps = np.array([[[1, 2], [1, 0]]]) if scores == "classes" else one_hot([[1, 2], [1, 0]])
    result = Segment(labels=THREE.labels, scores=scores).decode((maps,), crop)
    assert result.classes.tolist() == [[255, 1, 2], [255, 1, 0]]
    assert result.shares == {"paper": 1 / 6, "ant": 2 / 6, "bee": 1 / 6}
    (mark,) = result.marks()
    assert mark.opacity.tolist() == [[0.0, 0.5, 0.5], [0.0, 0.5, 0.0]]
    assert result.to_json()["runs"][0] == [[255, 1], [1, 1], [2, 1]]


def test_classes_of_a_large_picture_take_no_memory_to_speak_of():
    # All 19 maps at this size are 76 MB of float32.
    import tracemalloc

    maps = np.random.default_rng(0).normal(size=(1, 19, 32, 32)).astype(np.float32)
    frame = Frame(1000, 1000, (32, 32), (Affine.scaled(1000 / 32, 1000 / 32),))
    task = Segment(labels=tuple(map(str, range(19))))
    tracemalloc.start()
    classes = task.decode((maps,), frame).classes
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 25e6
    assert (classes == resample(maps[0], frame).argmax(axis=0)).all()


def test_json_has_shares_and_runs():
    assert THREE.decode((one_hot([[0, 0, 2], [1, 1, 1]]),), FRAME).to_json() == {
        "size": [2, 3],
        "shares": {"paper": 2 / 6, "ant": 3 / 6, "bee": 1 / 6},
        "runs": [[[0, 2], [2, 1]], [[1, 3]]],
    }


def test_what_is_drawn_are_the_colours_of_all_but_the_background():
    colors = ((0, 0, 0), (10, 20, 30), (40, 50, 60))
    task = Segment(labels=("paper", "ant", "bee"), colors=colors)
    result = task.decode((one_hot(CLASSES),), FRAME)
    (mark,) = result.marks()
    assert isinstance(mark, Overlay)
    assert mark.colors[0].tolist() == [[0, 0, 0], [10, 20, 30], [40, 50, 60]]
    assert mark.opacity.tolist() == [[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]]
    everything = Segment(labels=task.labels, background=None).decode((one_hot(CLASSES),), FRAME)
    assert everything.marks()[0].opacity.min() == 0.5
    assert len({tuple(color) for color in everything.colored.reshape(-1, 3).tolist()}) == 3


def test_results_are_values():
    first, same = (THREE.decode((one_hot(CLASSES),), FRAME) for _ in range(2))
    other = THREE.decode((one_hot([[0, 0, 0], [1, 1, 0]]),), FRAME)
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert first != "bee"
    assert repr(other) == "Segmentation(paper 66.7%, ant 33.3%)"
    with pytest.raises(ValueError, match="read-only"):
        first.classes[0, 0] = 1


WRONG_OUTPUTS = {
    "none": ((), "task: 'segment' needs one output (1, classes, height, width), got []"),
    "scores": (
        outputs(1, 3),
        "task: 'segment' needs one output (1, classes, height, width), got [(1, 3)]",
    ),
    "other classes": (
        outputs(1, 4, 8, 8),
        ("task: the output must have 3 maps where scores are 'softmax' and labels are 3, got 4"),
    ),
}


@pytest.mark.parametrize("case", WRONG_OUTPUTS)
def test_a_network_without_such_an_output_is_refused(case):
    given, message = WRONG_OUTPUTS[case]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        THREE.check_outputs(given)
    assert str(caught.value) == message


NO_CLASSES = "task: 'segment' needs one output (1, height, width) of whole numbers where scores are"


@pytest.mark.parametrize(
    ("shape", "dtype", "got"),
    [
        ((1, 8, 8), "float32", "['(1, 8, 8) of float32']"),
        ((1, 3, 8, 8), "int64", "['(1, 3, 8, 8) of int64']"),
    ],
    ids=["not whole", "several maps"],
)
def test_classes_must_be_whole_numbers(shape, dtype, got):
    task = Segment(labels=("a", "b"), scores="classes")
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        task.check_outputs((TensorSpec(name="classes", shape=shape, dtype=dtype),))
    assert str(caught.value) == f"{NO_CLASSES} 'classes', got {got}"


WRONG_TABLES = {
    "colours of some": (
        {"colors": [[1, 2, 3]]},
        "task.colors: must be one for each of the 3 labels, got 1",
    ),
    "one map for three": (
        {"scores": "sigmoid"},
        "task.scores: must not be 'sigmoid' unless there are two labels, got 3 labels",
    ),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_table_is_refused(case):
    table, message = WRONG_TABLES[case]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Segment, {"labels": ["a", "b", "c"], **table}, "task")
    assert str(caught.value) == message
