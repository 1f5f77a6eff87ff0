"""Detections by hand: where boxes are in the outputs, what they mean, and which stay."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.marks import Rectangle
from edgeprep.schema import build
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.detect import Detect, Detection, Suppression
from edgeprep.tasks.priors import Priors
from edgeprep.tensors import TensorSpec

# The network sees 32×64 pixels of a picture four times as large, of which it does not see the top.
FRAME = Frame(138, 256, (32, 64), (Affine.scaled(4.0, 4.0, 0.0, 10.0),))
PLAIN = Frame(32, 64, (32, 64), (IDENTITY,))
TASK = Detect(labels=("ant", "bee"), scores=ScoreColumns(output=1, activation="none"))


def specs(*shapes):
    return tuple(
        TensorSpec(name=f"output{index}", shape=shape, dtype="float32")
        for index, shape in enumerate(shapes)
    )


def decode(task, boxes, scores, frame=PLAIN):
    return task.decode((np.float32([boxes]), np.float32([scores])), frame)


def boxes_of(columns, values, frame=PLAIN, **keys):
    task = replace(TASK, boxes=columns, least_score=0.0, suppression=Suppression(kind="none"))
    found = decode(replace(task, **keys), values, [[0.5, 0.0]] * len(values), frame)
    return found.boxes.round(3).tolist()


def test_boxes_come_in_pixels_of_the_picture_that_came_in():
    found = decode(TASK, [[1, 2, 3, 4], [0, 0, 64, 40]], [[0.2, 0.9], [0.6, 0.1]], FRAME)
    assert [one.label for one in found] == ["bee", "ant"]
    assert found[0] == Detection(
        label="bee", index=1, score=pytest.approx(0.9), box=(4.0, 18.0, 12.0, 26.0)
    )
    # Cut at the border of the picture.
    assert found[1].box == (0.0, 10.0, 256.0, 138.0)


def test_forms_of_boxes():
    assert boxes_of(BoxColumns(), [[1, 2, 3, 5]]) == [[1, 2, 3, 5]]
    assert boxes_of(BoxColumns(form="corner-size"), [[1, 2, 3, 5]]) == [[1, 2, 4, 7]]
    assert boxes_of(BoxColumns(form="center-size"), [[4, 9, 2, 6]]) == [[3, 6, 5, 12]]
    assert boxes_of(BoxColumns(order="yx"), [[1, 2, 3, 5]]) == [[2, 1, 5, 3]]
    relative = BoxColumns(form="center-size", unit="relative")
    assert boxes_of(relative, [[0.5, 0.5, 0.25, 0.5]]) == [[24, 8, 40, 24]]
    scaled = BoxColumns(scale=(2.0, 1.0, 0.5, 1.0))
    assert boxes_of(scaled, [[4, 5, 20, 10]]) == [[8, 5, 10, 10]]


def test_distances_start_from_the_centres_of_cells():
    columns = BoxColumns(form="distances", priors=Priors(strides=(16,)))
    values = [[1, 1, 1, 1]] * 8
    values[5] = [4, 3, 2, 1]
    # The second cell of the second row has its centre at 24, 24.
    assert boxes_of(columns, values)[5] == [20, 21, 26, 25]
    cells = replace(columns, unit="cells")
    assert boxes_of(cells, [[0.25, 0.5, 0.125, 0.25]] * 8)[5] == [20, 16, 26, 28]


def test_deltas_are_those_of_ssd():
    priors = Priors(strides=(32,), sizes=((16.0, 32.0),), ratios=((1.0, 4.0),))
    columns = BoxColumns(form="deltas", scale=(0.1, 0.1, 0.2, 0.2), priors=priors)
    none = [0.0, 0.0, 0.0, 0.0]
    values = [none] * 8
    assert boxes_of(columns, values)[:3] == [[8, 8, 24, 24], [0, 12, 32, 20], [0, 0, 32, 32]]
    # One half to the right, and twice as wide.
    values[0] = [5.0, 0.0, 5 * math.log(2), 0.0]
    assert boxes_of(columns, values)[0] == [8, 8, 40, 24]


def test_a_wild_delta_is_as_large_as_the_picture():
    columns = BoxColumns(form="deltas", priors=Priors(strides=(32,)))
    assert boxes_of(columns, [[0, 0, 1e30, 1e30]] * 2)[0] == [0, 0, 64, 32]


def test_values_of_a_candidate_may_lie_in_the_second_axis():
    task = Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(axis="second", form="center-size"),
        scores=ScoreColumns(output=0, first=4, axis="second", activation="none"),
    )
    output = np.float32([[[8, 40], [8, 20], [4, 8], [4, 8], [0.9, 0.3], [0.1, 0.8]]])
    task.check_outputs(specs((1, 6, 2)))
    found = task.decode((output,), PLAIN)
    assert found.boxes.tolist() == [[6, 6, 10, 10], [36, 16, 44, 24]]
    assert found.classes.tolist() == [0, 1]


def test_each_grid_may_have_outputs_of_its_own():
    task = Detect(
        labels=("ant",),
        boxes=BoxColumns(
            output=(0, 1), axis="second", form="distances", priors=Priors(strides=(16, 32))
        ),
        scores=ScoreColumns(output=(0, 1), first=4, axis="second", activation="none"),
    )
    task.check_outputs(specs((1, 5, 2, 4), (1, 5, 1, 2)))
    fine, coarse = np.zeros((1, 5, 2, 4), np.float32), np.zeros((1, 5, 1, 2), np.float32)
    fine[0, :, 1, 2] = [8, 8, 8, 8, 0.7]
    coarse[0, :, 0, 1] = [4, 4, 4, 4, 0.9]
    found = task.decode((fine, coarse), PLAIN)
    assert found.boxes.tolist() == [[44, 12, 52, 20], [32, 16, 48, 32]]


def test_scores_are_activated():
    logits = [[0.0, math.log(3)], [-5.0, -5.0]]
    boxes = [[0, 0, 4, 4], [8, 8, 12, 12]]

    def scores(**keys):
        task = replace(TASK, scores=ScoreColumns(output=1, **keys), least_score=0.3)
        return decode(task, boxes, logits).scores.tolist()

    assert scores(activation="sigmoid") == pytest.approx([0.75])
    assert scores(activation="softmax") == pytest.approx([0.75, 0.5])


@pytest.mark.parametrize(("background", "label"), [("first", "ant"), ("last", "bee")])
def test_the_background_is_no_class(background, label):
    columns = ScoreColumns(output=1, activation="softmax", background=background)
    task = replace(TASK, scores=columns)
    task.check_outputs(specs((1, 2, 4), (1, 2, 3)))
    middle, elsewhere = [0.0, 5.0, 0.0], [5.0, 0, 0] if background == "first" else [0, 0, 5.0]
    found = decode(task, [[0, 0, 4, 4], [8, 8, 12, 12]], [middle, elsewhere])
    assert [one.label for one in found] == [label]


def test_objectness_multiplies_scores():
    task = replace(TASK, objectness=ScoreColumns(output=2, activation="sigmoid"), least_score=0.4)
    boxes, scores = np.float32([[[0, 0, 4, 4]] * 2]), np.float32([[[0.9, 0.1], [0.1, 0.9]]])
    found = task.decode((boxes, scores, np.float32([[[0.0], [-9.0]]])), PLAIN)
    assert found.scores.tolist() == pytest.approx([0.45])
    assert found.classes.tolist() == [0]


def test_a_candidate_is_of_its_best_class_or_of_all():
    assert len(decode(TASK, [[0, 0, 4, 4]], [[0.6, 0.7]])) == 1
    found = decode(replace(TASK, each="all"), [[0, 0, 4, 4]], [[0.6, 0.7]])
    assert [one.label for one in found] == ["bee", "ant"]


def test_what_overlaps_goes_or_is_worth_less_or_stays():
    boxes, scores = [[0, 0, 10, 10], [0, 0, 10, 9]], [[0.9, 0.0], [0.8, 0.0]]

    def kept(**keys):
        return decode(replace(TASK, suppression=Suppression(**keys)), boxes, scores).scores.tolist()

    assert kept(kind="hard", iou=0.5) == pytest.approx([0.9])
    assert kept(kind="hard", iou=0.9) == pytest.approx([0.9, 0.8])
    assert kept(kind="none") == pytest.approx([0.9, 0.8])
    assert kept(kind="soft", sigma=0.9) == pytest.approx([0.9, 0.8 * math.exp(-(0.9**2) / 0.9)])


def test_the_best_are_kept_where_there_are_too_many():
    boxes = [[8 * index, 0, 8 * index + 4, 4] for index in range(8)]
    scores = [[0.3 + index / 20, 0.0] for index in range(8)]
    found = decode(replace(TASK, most=3), boxes, scores)
    assert found.scores.tolist() == pytest.approx([0.65, 0.6, 0.55])


def test_nothing_is_found_where_nothing_is():
    found = decode(TASK, [[0, 0, 4, 4]], [[0.1, 0.2]])
    assert len(found) == 0
    assert str(found) == "nothing"
    assert found.boxes.shape == (0, 4)
    assert found.to_json() == {"objects": []}


def test_results_are_values():
    first, same = (decode(TASK, [[0, 0, 4, 4]], [[0.1, 0.9]]) for _ in range(2))
    other = decode(TASK, [[0, 0, 4, 4]], [[0.9, 0.1]])
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert first != "bee"
    assert (str(first), repr(first)) == ("bee (0.90)", "Detections(bee (0.90))")
    assert first.to_json() == {
        "objects": [
            {"label": "bee", "index": 1, "score": pytest.approx(0.9), "box": [0.0, 0.0, 4.0, 4.0]}
        ]
    }
    (mark,) = first.marks()
    assert isinstance(mark, Rectangle)
    assert (mark.corners, mark.text) == ((0.0, 0.0, 4.0, 4.0), "bee 0.90")
    with pytest.raises(ValueError, match="read-only"):
        first.boxes[0, 0] = 1.0


def test_a_recipe_describes_a_head():
    table = {
        "labels": ["ant"],
        "boxes": {
            "output": [0, 1],
            "axis": "second",
            "form": "distances",
            "unit": "cells",
            "priors": {"strides": [8, 16]},
        },
        "scores": {"output": [2, 3], "axis": "second"},
        "suppression": {"kind": "soft", "sigma": 0.3},
    }
    assert build(Detect, table, "task") == Detect(
        labels=("ant",),
        boxes=BoxColumns(
            output=(0, 1),
            axis="second",
            form="distances",
            unit="cells",
            priors=Priors(strides=(8, 16)),
        ),
        scores=ScoreColumns(output=(2, 3), axis="second"),
        suppression=Suppression(kind="soft", sigma=0.3),
    )


WRONG_TABLES = {
    "deltas from nowhere": (
        {"boxes": {"form": "deltas"}},
        "task.boxes.priors: must be given where form is 'deltas', got none",
    ),
    "priors for nothing": (
        {"boxes": {"priors": {"strides": [8]}}},
        "task.boxes.priors: must be absent where form is 'corners', got some",
    ),
    "cells without": (
        {"boxes": {"unit": "cells"}},
        "task.boxes.unit: must be 'pixels' or 'relative' unless form is 'distances', got 'cells'",
    ),
    "relative deltas": (
        {"boxes": {"unit": "relative", "form": "deltas", "priors": {"strides": [8]}}},
        (
            "task.boxes.unit: must be 'pixels' where form is 'deltas', which are relative to "
            "priors, got 'relative'"
        ),
    ),
    "sizes of one grid": (
        {"boxes": {"form": "deltas", "priors": {"strides": [8, 16], "sizes": [[8]]}}},
        "task.boxes.priors.sizes: must have one list for each of the 2 strides, got 1",
    ),
    "labels alike": (
        {"labels": ["ant", "ant"]},
        "task.labels[1]: must differ from labels[0], got 'ant'",
    ),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_description_is_refused(case):
    table, message = WRONG_TABLES[case]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Detect, {"labels": ["ant", "bee"], **table}, "task")
    assert str(caught.value) == message


WRONG_OUTPUTS = {
    "none": (
        TASK,
        (),
        "task.boxes.output: must be the number of one of the network's 0 outputs, got 0",
    ),
    "one only": (
        TASK,
        ((1, 5, 4),),
        "task.scores.output: must be the number of one of the network's 1 outputs, got 1",
    ),
    "flat": (
        TASK,
        ((5, 4), (1, 5, 2)),
        "task.boxes: output 0 must be (1, N, values) or (1, H, W, values), got (5, 4)",
    ),
    "too narrow": (
        TASK,
        ((1, 5, 4), (1, 5, 1)),
        "task.scores: output 1 must have 2 values of each candidate, got 1 in (1, 5, 1)",
    ),
    "other counts": (
        TASK,
        ((1, 5, 4), (1, 6, 2)),
        "task: must have the parts of as many candidates each, got 5 boxes, 6 scores",
    ),
    "flat maps": (
        replace(TASK, boxes=BoxColumns(axis="second")),
        ((1, 4), (1, 5, 2)),
        "task.boxes: output 0 must be (1, values, N) or (1, values, H, W), got (1, 4)",
    ),
}


@pytest.mark.parametrize("case", WRONG_OUTPUTS)
def test_a_network_without_such_outputs_is_refused(case):
    task, shapes, message = WRONG_OUTPUTS[case]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        task.check_outputs(specs(*shapes))
    assert str(caught.value) == message


def test_priors_of_another_picture_are_refused():
    task = replace(TASK, boxes=BoxColumns(form="distances", priors=Priors(strides=(16,))))
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        decode(task, [[0, 0, 0, 0]] * 5, [[0.5, 0.5]] * 5)
    assert str(caught.value) == (
        "task.boxes.priors: must be as many as the network's 5 candidates, got 8 for pictures of "
        "(32, 64)"
    )


def test_data_are_scored_with_candidates_as_low_and_as_many_as_published_figures_are():
    applied = replace(TASK, least_score=0.4, most=10)
    assert applied.for_scoring() == replace(TASK, least_score=0.001, most=100)
    more = replace(TASK, least_score=0.0, most=300)
    assert more.for_scoring() == more
