"""Heads of detectors as networks have them: anchors, priors, numbers of classes, tiles."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.tile import Tile
from edgeprep.tasks.box_head import BoxColumns, Columns, ScoreColumns
from edgeprep.tasks.detect import Detect, Suppression
from edgeprep.tasks.priors import Priors
from edgeprep.tensors import ImageSpec, TensorSpec

PLAIN = Frame(32, 64, (32, 64), (IDENTITY,))
LABELS = ("ant", "bee")
TASK = Detect(labels=LABELS, scores=ScoreColumns(activation="none"))


def specs(*shapes):
    return tuple(
        TensorSpec(name=f"output{index}", shape=shape, dtype="float32")
        for index, shape in enumerate(shapes)
    )


def decode(task, *outputs, frame=PLAIN):
    arrays = tuple(np.asarray(output, np.float32)[None] for output in outputs)
    task.check_outputs(specs(*(array.shape for array in arrays)))
    return task.decode(arrays, frame)


def test_scores_are_in_the_second_output_whatever_else_is_said_of_them():
    table = {"labels": ["ant", "bee"], "scores": {"activation": "softmax", "background": "last"}}
    assert build(Detect, table, "task").scores.output == 1


def ssd(anchors, axis, **keys):
    """Heads of 2 × 4 cells, apart for boxes and scores, whose last one has found a bee."""
    boxes, scores = np.zeros((2, 4, anchors, 4)), np.zeros((2, 4, anchors, 2))
    boxes[...] = [8, 8, 4, 4]
    boxes[1, 2, -1] = [40, 20, 8, 4]
    scores[1, 2, -1] = [0.1, 0.9]
    maps = [each.reshape(2, 4, -1) for each in (boxes, scores)]
    if axis == "second":
        maps = [each.transpose(2, 0, 1) for each in maps]
    task = replace(
        TASK,
        boxes=BoxColumns(form="center-size", axis=axis, anchors=anchors),
        scores=ScoreColumns(activation="none", axis=axis, anchors=anchors),
    )
    return decode(replace(task, **keys), *maps)


@pytest.mark.parametrize("axis", ["second", "last"])
@pytest.mark.parametrize("anchors", [1, 3])
def test_a_cell_has_a_candidate_for_each_anchor(axis, anchors):
    (found,) = ssd(anchors, axis)
    assert (found.label, found.box) == ("bee", (36.0, 18.0, 44.0, 22.0))


def test_candidates_of_maps_are_in_the_order_of_priors():
    priors = Priors(strides=(16,), sizes=((4.0, 8.0, 12.0),))
    columns = BoxColumns(form="deltas", axis="second", anchors=3, priors=priors)
    scores = ScoreColumns(activation="none", axis="second", anchors=3)
    maps = np.zeros((3, 2, 2, 4))
    maps[1, 0, 1, 3] = 0.9
    task = replace(TASK, boxes=columns, scores=scores)
    (found,) = decode(task, np.zeros((12, 2, 4)), maps.reshape(6, 2, 4))
    # The second size, in the last cell of the second row.
    assert found.box == (52.0, 20.0, 60.0, 28.0)


def test_each_grid_may_have_another_number_of_anchors():
    columns = BoxColumns(output=(0, 1), form="center-size", axis="second", anchors=(2, 1))
    scores = ScoreColumns(output=(2, 3), activation="none", axis="second", anchors=(2, 1))
    boxes = [np.full((8, 1, 2), 8.0), np.full((4, 1, 1), 16.0)]
    fine, coarse = np.zeros((4, 1, 2)), np.zeros((2, 1, 1))
    fine[3, 0, 1], coarse[0] = 0.9, 0.8
    task = replace(TASK, boxes=columns, scores=scores)
    found = decode(task, *boxes, fine, coarse)
    assert [(one.label, one.box) for one in found] == [
        ("bee", (4.0, 4.0, 12.0, 12.0)),
        ("ant", (8.0, 8.0, 24.0, 24.0)),
    ]


def test_priors_may_be_boxes_of_any_kind():
    # Those of SSD300's first grid: s, √(s · s'), and s as twice as wide as high and the reverse.
    sides = (
        (21.0, 21.0),
        (math.sqrt(21 * 45), math.sqrt(21 * 45)),
        (21 * math.sqrt(2), 21 / math.sqrt(2)),
        (21 / math.sqrt(2), 21 * math.sqrt(2)),
    )
    starts = Priors(strides=(8,), boxes=(sides,)).starts(300, 300)
    assert starts.shape == (38 * 38 * 4, 6)
    np.testing.assert_allclose(starts[4:8, 2:4], sides, rtol=1e-6)
    assert starts[4:8, :2].tolist() == [[12.0, 4.0]] * 4


def test_grids_may_be_of_any_number_of_cells():
    # As in ssdlite320, whose fourth grid has 3 × 3 cells; and a picture that is not square.
    starts = Priors(cells=((3, 3), (1, 2))).starts(320, 320)
    third = 320 / 3
    np.testing.assert_allclose(starts[4], [160, 160, third, third, third, third], rtol=1e-6)
    assert starts[9:].tolist() == [
        [80, 160, 160, 320, 160, 320],
        [240, 160, 160, 320, 160, 320],
    ]


def test_distances_in_cells_that_are_not_square():
    columns = BoxColumns(form="distances", unit="cells", priors=Priors(cells=((1, 4),)))
    scores = [[0.0, 0.0], [0.9, 0.0], [0.0, 0.0], [0.0, 0.0]]
    (found,) = decode(replace(TASK, boxes=columns), [[0.25, 0.5, 0.5, 0.25]] * 4, scores)
    assert found.box == (20.0, 0.0, 32.0, 24.0)


def test_the_network_may_have_suppressed_what_overlaps():
    # YOLOv10: x, y, x, y, score, class. The last is none of the classes, and fills up.
    task = replace(
        TASK,
        scores=ScoreColumns(output=0, first=4, activation="none"),
        classes=Columns(first=5),
        suppression=Suppression(kind="none"),
    )
    rows = [[1, 2, 9, 9, 0.9, 1], [1, 2, 9, 8, 0.8, 1], [3, 3, 5, 5, 0.7, 0], [0, 0, 9, 9, 1, -1]]
    found = decode(task, rows)
    assert [(one.label, round(one.score, 3)) for one in found] == [
        ("bee", 0.9),
        ("bee", 0.8),
        ("ant", 0.7),
    ]
    rows[2][5] = 2
    assert len(decode(task, rows)) == 2


def test_single_values_may_have_no_axis():
    # The operator TFLite_Detection_PostProcess: boxes, classes, scores, and how many there are.
    task = replace(
        TASK,
        boxes=BoxColumns(order="yx", unit="relative"),
        scores=ScoreColumns(output=2, activation="none"),
        classes=Columns(output=1),
    )
    found = decode(task, [[0.25, 0.5, 0.5, 1.0], [0, 0, 1, 1]], [1, 0], [0.9, 0.0], 1)
    assert [(one.label, one.box) for one in found] == [("bee", (32.0, 8.0, 64.0, 16.0))]


def test_objectness_may_be_a_softmax_with_the_background():
    columns = ScoreColumns(output=2, activation="softmax", background="first")
    task = replace(TASK, objectness=columns)
    boxes = [[0, 0, 4, 4], [8, 8, 12, 12]]
    logits = [[0.0, math.log(3)], [18.0, 0.0]]
    found = decode(task, boxes, [[0.8, 0.0], [0.9, 0.0]], logits)
    assert found.scores.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize("least", [0.001, 0.2, 0.5])
@pytest.mark.parametrize("background", ["first", "last"])
def test_a_softmax_is_not_cut_short(background, least):
    logits = np.random.default_rng(0).normal(0, 3, (400, 3)).astype(np.float32)
    columns = ScoreColumns(activation="softmax", background=background)
    task = replace(TASK, scores=columns, least_score=least, most=400)
    task = replace(task, suppression=Suppression(kind="none"))
    powers = np.exp(logits.astype(np.float64))
    shares = powers / powers.sum(axis=1, keepdims=True)
    known = shares[:, 1:] if background == "first" else shares[:, :2]
    expected = sorted(score for score in known.max(axis=1).tolist() if score >= least)
    found = decode(task, [[0, 0, 4, 4]] * 400, logits)
    assert found.scores.tolist() == pytest.approx(expected[::-1], rel=1e-5)


def test_a_box_beyond_all_is_no_reason_to_keep_others():
    boxes = [[0, 0, 1e20, 1e20], [1, 1, 9, 9], [1, 1, 9, 9], [1, 1, 9, 9]]
    found = decode(TASK, boxes, [[0.3, 0], [0, 0.9], [0, 0.8], [0, 0.7]])
    assert [one.label for one in found] == ["bee", "ant"]
    assert found[1].box == (0.0, 0.0, 64.0, 32.0)


def test_a_box_without_end_is_as_large_as_the_picture():
    columns = BoxColumns(form="center-size", unit="relative", scale=(10.0, 10.0, 10.0, 10.0))
    boxes = [[0, 0, 3e38, 3e38], [0.01, 0.01, 0.001, 0.001], [3e38, 3e38, 3e38, 3e38]]
    found = decode(replace(TASK, boxes=columns), boxes, [[0.9, 0], [0.8, 0], [0.7, 0]])
    # Of the last, nothing can be said.
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])
    assert found[0].box == (0.0, 0.0, 64.0, 32.0)


def test_what_has_no_area_in_the_picture_is_no_object():
    frame = Frame(20, 64, (32, 64), (Affine.scaled(1.0, 1.0, 0.0, -12.0),))
    boxes = [[0, 0, 9, 5], [30, 30, 9, 5], [4, 14, 8, 18]]  # in the border, inside out, and fine
    scores = [[0.9, 0], [0.8, 0], [0.7, 0]]
    found = decode(replace(TASK, most=1), boxes, scores, frame=frame)
    assert found.boxes.tolist() == [[4.0, 2.0, 8.0, 6.0]]


def test_many_copies_of_an_object_hide_no_other():
    boxes = [[0, 0, 10, 10]] * 1200 + [[40, 10, 60, 30]]
    scores = [[0.9, 0.0]] * 1200 + [[0.0, 0.8]]
    assert str(decode(TASK, boxes, scores)) == "ant (0.90), bee (0.80)"


def test_as_many_are_kept_as_are_asked_for():
    boxes = [[x, y, x + 1, y + 1] for x in range(60) for y in range(30)]
    task = replace(TASK, most=1500)
    assert len(decode(task, boxes, [[0.9, 0.0]] * len(boxes))) == 1500


def test_suppression_may_be_among_all_classes():
    boxes, scores = [[0, 0, 10, 10], [0, 0, 10, 9]], [[0.9, 0.0], [0.0, 0.8]]

    def kept(**keys):
        task = replace(TASK, suppression=Suppression(**keys))
        return decode(task, boxes, scores).scores.tolist()

    assert kept(kind="hard") == pytest.approx([0.9, 0.8])
    assert kept(kind="hard", among="all") == pytest.approx([0.9])
    softly = kept(kind="soft", sigma=0.9, among="all")
    assert softly == pytest.approx([0.9, 0.8 * math.exp(-(0.9**2) / 0.9)])


def test_the_same_object_of_two_tiles_is_found_once():
    # Two tiles of 32 pixels that share 16, of a picture of 48: the first two boxes are one object.
    frame = Frame(32, 48, (32, 32), (IDENTITY, Affine.scaled(1.0, 1.0, 16.0, 0.0)))
    boxes = [[[18, 4, 28, 14], [0, 0, 4, 4]], [[2, 4, 12, 14], [20, 20, 30, 30]]]
    scores = [[[0.8, 0.0], [0.0, 0.7]], [[0.9, 0.0], [0.6, 0.0]]]
    TASK.check_outputs(specs((2, 2, 4), (2, 2, 2)))
    found = TASK.decode((np.float32(boxes), np.float32(scores)), frame)
    assert found.boxes.tolist() == [[18, 4, 28, 14], [0, 0, 4, 4], [36, 20, 46, 30]]
    assert found.classes.tolist() == [0, 1, 0]
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        TASK.decode((np.float32(boxes), np.float32(scores)), PLAIN)
    assert str(caught.value) == (
        "outputs: must be of as many pictures as preprocessing makes of one, 1, got 2"
    )


@pytest.mark.parametrize("left", [0, 40, 88])
def test_what_is_bright_is_found_through_tiles_wherever_it_is(left):
    picture = np.zeros((20, 96, 3), np.uint8)
    picture[4:12, left : left + 8] = 255
    stages = (Letterbox(size=(32, 48), fill=0), Tile(size=(32, 32), overlap=16))
    chain = Chain(input=ImageSpec(height=20, width=96), stages=stages)
    tiles = chain.apply(NumpyPrimitives(), picture[None])[..., 0] > 127
    boxes, scores = np.zeros((2, 1, 4), np.float32), np.zeros((2, 1, 2), np.float32)
    for number, seen in enumerate(tiles):
        rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            boxes[number] = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            scores[number, 0, 1] = 0.9
    (found,) = TASK.decode((boxes, scores), chain.frame(20, 96))
    assert found.box == (left, 4.0, left + 8, 12.0)


def test_where_the_network_looks_must_be_known():
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        TASK.decode((np.zeros((1, 1, 4), np.float32), np.zeros((1, 1, 2), np.float32)))
    assert str(caught.value) == ("frame: task 'detect' must know where the network looks, got None")


def test_results_leave_the_arrays_that_they_are_made_of():
    boxes = np.zeros((1, 4))
    type(decode(TASK, [[0, 0, 4, 4]], [[0.9, 0]]))(
        labels=LABELS, boxes=boxes, scores=np.float32([1]), classes=np.array([0])
    )
    boxes[0, 0] = 1.0


WRONG_TABLES = {
    "boxes as scores": (
        {"scores": {"output": 0, "first": 2}},
        "task.scores: must not be where boxes are, got values 2..3 of output 0",
    ),
    "scores as objectness": (
        {"objectness": {"output": 1, "first": 1}},
        "task.objectness: must not be where scores are, got values 1..1 of output 1",
    ),
    "two axes": (
        {"scores": {"output": 0, "first": 4, "axis": "second"}},
        (
            "task.scores: must have the axis and the anchors of boxes, in one output, "
            "got axis 'second' and anchors 1 of output 0"
        ),
    ),
    "anchors of another grid": (
        {"boxes": {"output": [0, 1], "anchors": [4, 6, 6]}},
        "task.boxes.anchors: must be one number, or one for each of the 2 outputs, got 3",
    ),
    "softmax of an objectness": (
        {"objectness": {"output": 2, "activation": "softmax"}},
        (
            "task.objectness.activation: must not be 'softmax' of one value, which is always 1, "
            "got no background beside it"
        ),
    ),
    "softmax of a class": (
        {"labels": ["ant"], "scores": {"activation": "softmax"}},
        (
            "task.scores.activation: must not be 'softmax' of one value, which is always 1, "
            "got no background beside it"
        ),
    ),
    "classes and background": (
        {"classes": {"output": 2}, "scores": {"background": "first"}},
        (
            "task.scores.background: must be 'none' where classes say which one a candidate is "
            "of, got 'first'"
        ),
    ),
    "no grid": (
        {"boxes": {"form": "deltas", "priors": {}}},
        "task.boxes.priors.strides: must be given, or cells instead, got none",
    ),
    "two kinds of grids": (
        {"boxes": {"form": "deltas", "priors": {"strides": [8], "cells": [[4, 4]]}}},
        "task.boxes.priors.strides: must be given, or cells instead, got both",
    ),
    "boxes of one grid": (
        {"boxes": {"form": "deltas", "priors": {"cells": [[4, 4], [2, 2]], "boxes": [[[8, 8]]]}}},
        "task.boxes.priors.boxes: must have one list for each of the 2 cells, got 1",
    ),
    "boxes and ratios": (
        {
            "boxes": {
                "form": "deltas",
                "priors": {"strides": [8], "boxes": [[[8, 8]]], "ratios": [[2]]},
            }
        },
        "task.boxes.priors.ratios: must be absent where boxes are given, got some",
    ),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_description_is_refused(case):
    table, message = WRONG_TABLES[case]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(Detect, {"labels": ["ant", "bee"], **table}, "task")
    assert str(caught.value) == message


MAPS = replace(
    TASK,
    boxes=BoxColumns(axis="second"),
    scores=ScoreColumns(output=0, first=4, axis="second"),
)
WRONG_OUTPUTS = {
    "anchors that are not said": (
        MAPS,
        ((1, 18, 2, 4),),
        (
            "task: output 0 must have 6 values in every cell, as is said, got 18 in (1, 18, 2, 4); "
            "say anchors where a cell has several boxes"
        ),
    ),
    "anchors that are not there": (
        replace(TASK, boxes=BoxColumns(axis="second", anchors=3)),
        ((1, 10, 2, 4), (1, 24, 2)),
        (
            "task.boxes: output 0 must have 4 values of each candidate for each of 3 anchors, "
            "got 10 in (1, 10, 2, 4)"
        ),
    ),
    "other numbers of pictures": (
        TASK,
        ((1, 5, 4), (2, 5, 2)),
        "task: outputs must be of as many pictures each, got 1, 2",
    ),
    "classes elsewhere": (
        replace(TASK, classes=Columns(output=2)),
        ((1, 5, 4), (1, 5), (5,)),
        "task.classes: output 2 must be (1, N), (1, N, values) or (1, H, W, values), got (5,)",
    ),
}


@pytest.mark.parametrize("case", WRONG_OUTPUTS)
def test_a_network_without_such_outputs_is_refused(case):
    task, shapes, message = WRONG_OUTPUTS[case]
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        task.check_outputs(specs(*shapes))
    assert str(caught.value) == message
