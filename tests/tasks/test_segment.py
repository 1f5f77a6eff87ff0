"""Classes of pixels, by hand."""

import math

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.marks import Overlay
from edgeprep.schema import build
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
