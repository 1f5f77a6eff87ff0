"""What counts for nothing, what has no order, and what is wrong and sure of it, for detectors."""

import math

import numpy as np
import pytest
import torch

from edgeprep.geometry import Frame
from edgeprep.recipe import TrainTable
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.detect import Detect, Suppression
from edgeprep.tasks.priors import Priors
from edgeprep.tensors import TensorSpec
from edgeprep.train.box_outputs import corners_of
from edgeprep.train.detection import DetectionLoss
from edgeprep.train.unroll import unrolled
from edgeprep.truths import Boxes

SETTINGS = TrainTable(epochs=1)
# Two cells, with their middles at (8, 8) and (24, 8).
CELLS = BoxColumns(form="distances", priors=Priors(strides=(16,)))
PICTURE = torch.zeros(1, 3, 16, 32)
ANT, EXACT, FAR = [0.0, 4.0, 4.0, 12.0, 12.0], [4.0, 4.0, 4.0, 4.0], [1.0, 1.0, 1.0, 1.0]
HEADS = {
    "sigmoid": (Detect(labels=("ant", "bee"), boxes=CELLS, scores=ScoreColumns(output=1)), 2),
    "softmax": (
        Detect(
            labels=("ant", "bee"),
            boxes=CELLS,
            scores=ScoreColumns(output=1, activation="softmax", background="last"),
        ),
        3,
    ),
    "once": (
        Detect(
            labels=("ant", "bee"),
            boxes=BoxColumns(form="center-size"),
            scores=ScoreColumns(output=1, activation="softmax", background="last"),
            suppression=Suppression(kind="none"),
        ),
        3,
    ),
}
# By centre and size, where a network works out its boxes itself; else by distances from cells.
PLACES = {"once": [[8.0, 8.0, 8.0, 8.0], [24.0, 8.0, 2.0, 2.0]]}


def gradient(head, labels):
    """That of the scores of both cells, of which the first is the ant."""
    task, count = HEADS[head]
    boxes = torch.tensor([PLACES.get(head, [EXACT, FAR])])
    scores = torch.full((1, 2, count), 0.5, requires_grad=True)
    objective = DetectionLoss(task, SETTINGS)
    objective.loss(lambda _: (boxes, scores), PICTURE, torch.tensor([labels])).backward()
    return scores.grad[0]


@pytest.mark.parametrize("head", HEADS)
def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong(head):
    crowd = Boxes.of([[16, 0, 32, 16]], [0], [True]).seen(Frame.whole(16, 32))
    held = gradient(head, [ANT, crowd[0].tolist()])
    assert held[0].any()
    assert not held[1].any()
    assert gradient(head, [ANT])[1].any()


@pytest.mark.parametrize("head", HEADS)
def test_an_object_in_a_crowd_is_learned(head):
    around = [-2.0, 0.0, 0.0, 16.0, 16.0]
    assert gradient(head, [ANT, around])[0].any()


def test_objectness_in_a_crowd_is_neither_right_nor_wrong():
    task = Detect(
        labels=("ant", "bee"),
        boxes=CELLS,
        scores=ScoreColumns(output=1),
        objectness=ScoreColumns(output=2),
    )
    there = torch.zeros(1, 2, 1, requires_grad=True)
    outputs = (torch.tensor([[EXACT, FAR]]), torch.zeros(1, 2, 2), there)
    labels = torch.tensor([[ANT, [-2.0, 16.0, 0.0, 32.0, 16.0]]])
    DetectionLoss(task, SETTINGS).loss(lambda _: outputs, PICTURE, labels).backward()
    assert there.grad[0, :, 0].ne(0).tolist() == [True, False]


def test_scores_that_are_wrong_and_sure_of_it_are_learned_from():
    task = Detect(
        labels=("ant", "bee"), boxes=CELLS, scores=ScoreColumns(output=1, activation="none")
    )
    scores = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]], requires_grad=True)
    objective, boxes = DetectionLoss(task, SETTINGS), torch.tensor([[EXACT, FAR]])
    objective.loss(lambda _: (boxes, scores), PICTURE, torch.tensor([[ANT]])).backward()
    assert scores.grad[0, 0, 0] < 0 < scores.grad[0, 1, 0]


def test_smoothing_gives_to_both_outcomes_of_every_class():
    task = Detect(labels=("ant", "bee", "cow", "dog"), boxes=CELLS, scores=ScoreColumns(output=1))
    # 0.9 and 0.1, whatever the number of classes.
    sure = math.log(9)
    scores = torch.tensor([[[sure, -sure, -sure, -sure], [-50.0] * 4]])
    objective = DetectionLoss(task, TrainTable(epochs=1, label_smoothing=0.2))
    boxes, labels = torch.tensor([[EXACT, FAR]]), torch.tensor([[ANT]])
    found = objective.loss(lambda _: (boxes, scores), PICTURE, labels)
    assert float(found) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 5, 3, 16, 32), (1, 5, 16, 32, 3)], ids=["first", "last"])
def test_clips_are_learned_from_as_their_last_frames_are(shape):
    task, _ = HEADS["sigmoid"]
    outputs = (torch.tensor([[EXACT, FAR]]), torch.zeros(1, 2, 2))
    objective, labels = DetectionLoss(task, SETTINGS), torch.tensor([[ANT]])
    found = objective.loss(lambda _: outputs, torch.zeros(shape), labels)
    assert found == objective.loss(lambda _: outputs, PICTURE, labels)


def test_a_detector_that_remembers_is_learned():
    """Height and width are those of frames, whatever is around them."""

    class Remembers(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = torch.nn.Conv2d(3 + 4, 4, 1)
            self.boxes, self.scores = torch.nn.Conv2d(4, 4, 16, 16), torch.nn.Conv2d(4, 2, 16, 16)

        def forward(self, picture, hidden):
            hidden = self.seen(torch.cat((picture, hidden), 1)).tanh()
            boxes, scores = self.boxes(hidden).relu(), self.scores(hidden)
            return *(each.flatten(2).transpose(1, 2) for each in (boxes, scores)), hidden

    task, _ = HEADS["sigmoid"]
    hidden = TensorSpec(name="hidden", shape=(1, 4, 16, 32), dtype="float32")
    network = Remembers()
    clips, labels = torch.rand(2, 3, 3, 16, 32), torch.tensor([[ANT]] * 2)
    DetectionLoss(task, SETTINGS).loss(unrolled(network, (hidden,)), clips, labels).backward()
    assert network.seen.weight.grad.any()


def answers(boxes, scores):
    return torch.tensor([boxes]), torch.tensor([scores])


def test_what_is_found_once_has_no_order_to_imitate():
    objective = DetectionLoss(HEADS["once"][0], SETTINGS)
    boxes = [[8.0, 8.0, 4.0, 4.0], [24.0, 8.0, 6.0, 6.0], [16.0, 4.0, 2.0, 2.0]]
    scores = [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]
    teacher = answers(boxes, scores)
    other = answers(boxes[::-1], scores[::-1])
    assert float(objective.imitation(other, teacher, 1.0)) == pytest.approx(0.0, abs=1e-5)


def test_a_student_learns_the_nearest_of_what_a_teacher_finds():
    objective = DetectionLoss(HEADS["once"][0], SETTINGS)
    teacher = answers([[8.0, 8.0, 4.0, 4.0], [24.0, 8.0, 4.0, 4.0]], [[9.0, 0.0, 0.0]] * 2)
    boxes, scores = answers([[23.0, 8.0, 4.0, 4.0], [9.0, 8.0, 4.0, 4.0]], [[0.0, 0.0, 0.0]] * 2)
    boxes.requires_grad_()
    objective.imitation((boxes, scores), teacher, 1.0).backward()
    # To the right, and to the left.
    assert boxes.grad[0, 0, 0] < 0 < boxes.grad[0, 1, 0]


def test_more_candidates_than_are_paired_keep_their_order():
    objective = DetectionLoss(HEADS["once"][0], SETTINGS)
    places = [[float(x), 8.0, 1.0, 1.0] for x in range(310)]
    scores = [[-x / 100, 0.0, 2.0] for x in range(310)]
    teacher = answers(places, scores)
    assert float(objective.imitation(teacher, teacher, 1.0)) == pytest.approx(0.0, abs=1e-4)
    shifted = answers(places[1:] + places[:1], scores[1:] + scores[:1])
    # What is left over at the end is alike in all but its place.
    assert float(objective.imitation(shifted, teacher, 1.0)) < 0.3


HALVES = torch.tensor([[0.5, 0.25, 0.5, 0.5]])
BY_HAND = {
    # Of a picture of 32 × 48: y 16 and x 12, 16 high and 24 wide.
    "centre and size, y first, as shares": (
        BoxColumns(form="center-size", order="yx", unit="relative"),
        HALVES,
        [[0.0, 8.0, 24.0, 24.0]],
    ),
    # The scales 1, 2, 0.5 and 1: 0.5 and 0.5, then 0.25 and 0.5.
    "corners, as shares and scaled": (
        BoxColumns(unit="relative", scale=(1.0, 2.0, 0.5, 1.0)),
        HALVES,
        [[24.0, 16.0, 12.0, 16.0]],
    ),
    # From a box of 8 × 4 around (10, 20): moved by half of 8 and a quarter of 4, twice as wide and
    # three times as high.
    "deltas": (
        BoxColumns(form="deltas", priors=Priors(strides=(16,))),
        torch.tensor([[0.5, 0.25, math.log(2), math.log(3)]]),
        [[14.0 - 8, 21.0 - 6, 14.0 + 8, 21.0 + 6]],
    ),
    # As high as can be: e to the 16th.
    "wild deltas": (
        BoxColumns(form="deltas", priors=Priors(strides=(16,))),
        torch.tensor([[0.0, 0.0, 0.0, 1000.0]]),
        [[6.0, 20 - 2 * math.exp(16), 14.0, 20 + 2 * math.exp(16)]],
    ),
}


@pytest.mark.parametrize(("columns", "values", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_boxes_by_hand(columns, values, expected):
    starts = torch.tensor([[10.0, 20.0, 8.0, 4.0, 16.0, 16.0]])
    found = corners_of(values, columns, (32, 48), starts if columns.priors else None)
    torch.testing.assert_close(found, torch.tensor(expected))
    # What is taught and what is found later are the same.
    if columns.priors is None:
        again = columns.corners(values.numpy(), np.arange(1), (32, 48))
        torch.testing.assert_close(torch.from_numpy(again), torch.tensor(expected))
