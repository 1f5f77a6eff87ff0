"""What training makes small for boxes: by hand, pair by pair, and whether it is learned."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.recipe import TrainTable
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.detect import Detect, Suppression
from edgeprep.tasks.priors import Priors
from edgeprep.train.assignment import align
from edgeprep.train.detection import DetectionLoss
from edgeprep.train.objective import check_imitation, objective_for

SETTINGS = TrainTable(epochs=1)
# Two cells, with their middles at (8, 8) and (24, 8).
INPUTS = torch.zeros(1, 3, 16, 32)
TASK = Detect(
    labels=("ant", "bee"),
    boxes=BoxColumns(form="distances", priors=Priors(strides=(16,))),
    scores=ScoreColumns(output=1),
)
ANT = torch.tensor([[[0.0, 4.0, 4.0, 12.0, 12.0]]])
EXACT, LOW = [4.0, 4.0, 4.0, 4.0], [4.0, 4.0, 4.0, 12.0]
FAR = [1.0, 1.0, 1.0, 1.0]
# What a score of one half is worth that should be 0 or 1.
HALF = math.log(2) / 4


def gives(*outputs):
    return lambda _: tuple(torch.as_tensor(output, dtype=torch.float32) for output in outputs)


def loss(task, *outputs, labels=ANT, inputs=INPUTS, settings=SETTINGS):
    return float(DetectionLoss(task, settings).loss(gives(*outputs), inputs, labels))


def test_the_task_names_its_objective():
    objective = objective_for(TASK, SETTINGS)
    assert isinstance(objective, DetectionLoss)
    check_imitation(objective, TASK)


def test_scores_are_held_to_what_is_there():
    scores = [[[math.log(3), 0.0], [0.0, 0.0]]]
    expected = -math.log(0.75) / 16 + 3 * HALF
    assert loss(TASK, [[EXACT, FAR]], scores) == pytest.approx(expected)


def test_boxes_are_held_to_objects_and_scores_to_how_well_boxes_fit():
    # Half of the box is the object: that is its score, and it is just so.
    scores = [[[0.0, -50.0], [-50.0, -50.0]]]
    # The middle is 4 of 16 pixels too low, the box 8 too high.
    expected = 2 * (1 - 0.5) + 5 * (4 / 16 + 8 / 16)
    assert loss(TASK, [[LOW, FAR]], scores) == pytest.approx(expected)


def test_pictures_may_have_their_channels_last():
    scores = [[[math.log(3), 0.0], [0.0, 0.0]]]
    inputs = torch.zeros(1, 16, 32, 3)
    assert loss(TASK, [[EXACT, FAR]], scores, inputs=inputs) == loss(TASK, [[EXACT, FAR]], scores)


def test_probabilities_are_held_as_their_logits():
    task = replace(TASK, scores=ScoreColumns(output=1, activation="none"))
    logits = torch.tensor([[[math.log(3), 0.0], [0.0, -2.0]]])
    found = loss(task, [[EXACT, FAR]], logits.sigmoid())
    assert found == pytest.approx(loss(TASK, [[EXACT, FAR]], logits), rel=1e-5)


@pytest.mark.parametrize("background", ["first", "last"])
def test_the_background_is_held_to_where_nothing_is(background):
    columns = ScoreColumns(output=1, activation="softmax", background=background)
    # A half for the ant, and for the background where nothing is; a quarter for all else.
    rows = [[0.0, math.log(2), 0.0], [math.log(2), 0.0, 0.0]]
    if background == "last":
        rows = [row[1:] + row[:1] for row in rows]
    task = replace(TASK, scores=columns)
    assert loss(task, [[EXACT, FAR]], [rows]) == pytest.approx(2 * HALF)
    probabilities = torch.tensor([rows]).softmax(-1)
    task = replace(task, scores=replace(columns, activation="none"))
    assert loss(task, [[EXACT, FAR]], probabilities) == pytest.approx(2 * HALF)


def test_a_separate_background_is_held_to_the_rest():
    task = replace(TASK, scores=ScoreColumns(output=1, background="last"))
    rows = [[50.0, -50.0, 0.0], [-50.0, -50.0, 0.0]]
    assert loss(task, [[EXACT, FAR]], [rows]) == pytest.approx(2 * HALF)


def test_scores_that_add_up_to_1_are_even_where_nothing_is():
    task = replace(TASK, scores=ScoreColumns(output=1, activation="softmax"))
    # One half each is just right where nothing is; where the ant is, it is one half too little.
    rows = [[0.0, 0.0], [0.0, 0.0]]
    assert loss(task, [[EXACT, FAR]], [rows]) == pytest.approx(HALF)


def test_objectness_is_held_to_the_score_and_classes_to_objects_alone():
    task = replace(TASK, objectness=ScoreColumns(output=2))
    scores = [[[0.0, -50.0], [7.0, 7.0]]]
    found = loss(task, [[EXACT, FAR]], scores, [[[0.0], [0.0]]])
    # One half for the object, twice one half for the objectness.
    assert found == pytest.approx(HALF + 2 * HALF)


def test_a_smoothed_label_is_given_to_all_classes_of_an_object():
    settings = TrainTable(epochs=1, label_smoothing=0.2)
    # 0.9 and 0.1.
    scores = [[[math.log(9), -math.log(9)], [-50.0, -50.0]]]
    assert loss(TASK, [[EXACT, FAR]], scores, settings=settings) == pytest.approx(0.0, abs=1e-6)


def test_where_nothing_is_suppressed_each_object_is_found_once():
    task = Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(form="center-size", unit="relative"),
        scores=ScoreColumns(output=1, activation="softmax", background="last"),
        suppression=Suppression(kind="none"),
    )
    exact = [8 / 32, 8 / 16, 8 / 32, 8 / 16]
    rows = [[0.0, 0.0, math.log(2)], [math.log(2), 0.0, 0.0]]
    # Both boxes fit. The one that says ant is held to it, the other one to nothing, and counts a
    # tenth as much.
    expected = (math.log(2) + 0.1 * math.log(2)) / 1.1
    assert loss(task, [[exact, exact]], [rows]) == pytest.approx(expected)


HEADS = {
    "sigmoid": (ScoreColumns(output=1), None),
    "softmax": (ScoreColumns(output=1, activation="softmax", background="first"), None),
    "objectness": (ScoreColumns(output=1), ScoreColumns(output=2)),
}


def squared(number):
    return number * number


def binary(logit, truth):
    score = 1 / (1 + math.exp(-logit))
    entropy = -truth * math.log(score) - (1 - truth) * math.log(1 - score)
    return entropy * squared(truth - score)


@pytest.mark.parametrize(("scores", "objectness"), HEADS.values(), ids=HEADS)
def test_the_loss_is_that_of_all_pairs_one_by_one(scores, objectness):
    task = replace(
        TASK,
        boxes=BoxColumns(form="distances", unit="cells", priors=Priors(strides=(8, 16))),
        scores=scores,
        objectness=objectness,
    )
    generator = np.random.default_rng(0)
    inputs, count = torch.zeros(2, 3, 32, 48), 24 + 6
    values = generator.uniform(0.2, 2.0, (2, count, 4)).astype(np.float32)
    logits = generator.normal(size=(2, count, task.columns)).astype(np.float32)
    there = generator.normal(size=(2, count, 1)).astype(np.float32)
    labels = np.float32(
        [
            [[1, 3, 5, 20, 21], [0, 17, 2, 40, 30], [1, 30, 3, 33, 5]],
            [[0, 10, 10, 30, 28], [-1] * 5, [-1] * 5],
        ]
    )
    found = loss(task, values, logits, there, labels=torch.from_numpy(labels), inputs=inputs)

    starts = task.boxes.starts(32, 48)
    boxes = np.stack([task.boxes.corners(each, np.arange(count), (32, 48)) for each in values])
    worth = 1 / (1 + np.exp(-logits))
    if scores.activation == "softmax":
        worth = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))[..., 1:]
    if objectness:
        worth = worth / (1 + np.exp(-there))
    held = align(*map(torch.from_numpy, (worth, boxes, starts[:, :2].copy(), labels)))
    total = dict.fromkeys(("scores", "objectness", "boxes"), 0.0)
    for image, k in np.ndindex(2, count):
        number, target = int(held.objects[image, k]), float(held.scores[image, k])
        share = float(held.shares[image, k])
        wanted = [0.0, 0.0]
        if number >= 0:
            label, *corners = labels[image, number].tolist()
            wanted[int(label)] = 1.0 if objectness else target
            total["boxes"] += share * box_loss(boxes[image, k].tolist(), corners)
        row = logits[image, k].tolist()
        if objectness:
            total["objectness"] += binary(there[image, k, 0], target)
            total["scores"] += share * sum(map(binary, row, wanted))
        elif scores.activation == "softmax":
            wanted = [1 - target, *wanted]
            powers = [math.exp(one) for one in row]
            given = [one / sum(powers) for one in powers]
            furthest = max(abs(one - other) for one, other in zip(wanted, given, strict=True))
            entropy = -sum(w * math.log(g) for w, g in zip(wanted, given, strict=True))
            total["scores"] += entropy * squared(furthest)
        else:
            total["scores"] += sum(map(binary, row, wanted))
    shares, targets = float(held.shares.sum()), float(held.scores.sum())
    assert shares > 4
    expected = total["objectness"] / targets + total["boxes"] / shares
    expected += total["scores"] / (shares if objectness else targets)
    assert found == pytest.approx(expected, rel=1e-5)


def box_loss(box, wanted):
    wide = max(min(box[2], wanted[2]) - max(box[0], wanted[0]), 0)
    high = max(min(box[3], wanted[3]) - max(box[1], wanted[1]), 0)
    union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, wanted)) - wide * high
    hull = (max(box[2], wanted[2]) - min(box[0], wanted[0])) * (
        max(box[3], wanted[3]) - min(box[1], wanted[1])
    )
    far = 0.0
    for axis, length in ((0, 48), (1, 32)):
        sides = [(b[axis] + b[axis + 2]) / 2 / length for b in (box, wanted)]
        sizes = [(b[axis + 2] - b[axis]) / length for b in (box, wanted)]
        far += abs(sides[0] - sides[1]) + abs(sizes[0] - sizes[1])
    return 2 * (1 - wide * high / union + (hull - union) / hull) + 5 * far


@pytest.mark.parametrize(
    "labels", [torch.zeros(1, 0, 5), torch.full((1, 2, 5), -1.0)], ids=["no rows", "filled rows"]
)
@pytest.mark.parametrize("kind", ["hard", "none"])
def test_pictures_without_objects_teach_that_there_is_nothing(labels, kind):
    task = replace(TASK, boxes=BoxColumns(), suppression=Suppression(kind=kind))
    boxes, scores = torch.ones(1, 3, 4), torch.zeros(1, 3, 2, requires_grad=True)
    value = DetectionLoss(task, SETTINGS).loss(lambda _: (boxes, scores), INPUTS, labels)
    value.backward()
    assert float(value.detach()) == pytest.approx(6 * HALF)
    assert (scores.grad > 0).all()


def test_the_gradient_goes_the_right_way():
    boxes = torch.tensor([[[3.0, 4.0, 4.0, 9.0], FAR]], requires_grad=True)
    scores = torch.zeros(1, 2, 2, requires_grad=True)
    DetectionLoss(TASK, SETTINGS).loss(lambda _: (boxes, scores), INPUTS, ANT).backward()
    # More to the left, less to the bottom; what is held to no object stays.
    assert boxes.grad[0, 0, 0] < 0 < boxes.grad[0, 0, 3]
    assert not boxes.grad[0, 1].any()
    # More of an ant, and less of all else.
    assert scores.grad[0, 0, 0] < 0
    assert (scores.grad.flatten()[1:] > 0).all()


PRIORS = Priors(strides=(16,), sizes=((12.0, 20.0),))
LEARNED = {
    "distances in several grids": Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(
            output=(0, 1),
            axis="second",
            form="distances",
            unit="cells",
            priors=Priors(strides=(8, 16)),
        ),
        scores=ScoreColumns(output=(2, 3), axis="second"),
    ),
    "deltas and a background": Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(form="deltas", scale=(0.1, 0.1, 0.2, 0.2), priors=PRIORS),
        scores=ScoreColumns(output=1, activation="softmax", background="first"),
    ),
    "objectness": Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(form="distances", priors=Priors(strides=(16,))),
        scores=ScoreColumns(output=0, first=5),
        objectness=ScoreColumns(output=0, first=4),
    ),
    "boxes that a network works out by itself": Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(axis="second", form="center-size"),
        scores=ScoreColumns(output=0, first=4, axis="second"),
    ),
    "each object once, of a softmax": Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(form="center-size", unit="relative"),
        scores=ScoreColumns(output=1, activation="softmax", background="last"),
        suppression=Suppression(kind="none"),
    ),
    "each object once, of sigmoids": Detect(
        labels=("ant", "bee"),
        boxes=BoxColumns(order="yx", unit="relative"),
        scores=ScoreColumns(output=1),
        suppression=Suppression(kind="none"),
    ),
}
SHAPES = {
    "distances in several grids": [(1, 4, 4, 4), (1, 4, 2, 2), (1, 2, 4, 4), (1, 2, 2, 2)],
    "deltas and a background": [(1, 8, 4), (1, 8, 3)],
    "objectness": [(1, 4, 7)],
    "boxes that a network works out by itself": [(1, 6, 16)],
    "each object once, of a softmax": [(1, 5, 4), (1, 5, 3)],
    "each object once, of sigmoids": [(1, 5, 4), (1, 5, 2)],
}
OBJECTS = [[1.0, 2.0, 3.0, 14.0, 12.0], [0.0, 15.0, 12.0, 31.0, 30.0]]


class Free(torch.nn.Module):
    """What comes out is what is learned."""

    def __init__(self, shapes):
        super().__init__()
        torch.manual_seed(0)
        made = [torch.nn.Parameter(torch.rand(shape)) for shape in shapes]
        self.outputs = torch.nn.ParameterList(made)

    def forward(self, _):
        return tuple(self.outputs)


def learn(network, loss, *, rate, steps):
    """What the loss was at each step."""
    optimizer, losses = torch.optim.Adam(network.parameters()), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    return losses


def network_of(head):
    """A network that has not learned, whose boxes are boxes."""
    network, middles = Free(SHAPES[head]), torch.tensor([4.0, 12.0, 20.0, 28.0])
    with torch.no_grad():
        boxes = network.outputs[0]
        if head == "boxes that a network works out by itself":
            # Around the middles of cells, as such networks have them from the beginning.
            boxes[0, 0] = middles.repeat(4)
            boxes[0, 1] = middles.repeat_interleave(4)
            boxes[0, 2:4] = 8.0
        elif head == "each object once, of sigmoids":
            boxes[..., 2:] += 1.0
    return network


@pytest.mark.parametrize("head", LEARNED)
def test_a_picture_is_learned_by_heart(head):
    task, network = LEARNED[head], network_of(head)
    objective, labels = DetectionLoss(task, SETTINGS), torch.tensor([OBJECTS])
    learn(
        network,
        lambda: objective.loss(network, torch.zeros(1, 3, 32, 32), labels),
        rate=0.15,
        steps=200,
    )
    outputs = tuple(output.detach().numpy() for output in network(None))
    frame = Frame(32, 32, (32, 32), (IDENTITY,))
    found = sorted(task.decode(outputs, frame), key=lambda one: -one.index)
    assert [one.label for one in found] == ["bee", "ant"]
    for one, (_, *corners) in zip(found, OBJECTS, strict=True):
        assert one.box == pytest.approx(corners, abs=0.75)


@pytest.mark.parametrize("head", LEARNED)
def test_a_teacher_is_imitated(head):
    objective = DetectionLoss(LEARNED[head], SETTINGS)
    student, teacher = network_of(head), network_of(head)
    wanted = tuple(output.detach() for output in teacher(None))
    with torch.no_grad():
        assert float(objective.imitation(student(None), wanted, 2.0)) == pytest.approx(0, abs=1e-4)
        for output in student.outputs:
            output += torch.rand_like(output)
    losses = learn(
        student, lambda: objective.imitation(student(None), wanted, 2.0), rate=0.05, steps=120
    )
    assert losses[-1] < 0.1 * losses[0]


def test_imitation_by_hand():
    objective = DetectionLoss(TASK, SETTINGS)
    scores, sure = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[math.log(3), 0.0]]])
    boxes, others = torch.tensor([[[1.0, 1.0, 1.0, 1.0]]]), torch.tensor([[[1.0, 1.0, 1.0, 3.0]]])
    # Of the first score, 3/4 against 1/2. Of the box, a half, and the lower side is 2 away where
    # both together are 6 high; as far as the teacher is sure.
    divergence = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    found = float(objective.imitation((boxes, scores), (others, sure), 1.0))
    assert found == pytest.approx(divergence + (2 * 0.5 + 2 / 6) * 0.75)


def test_pictures_alone_teach_nothing():
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        loss(TASK, [[EXACT, FAR]], [[[0.0, 0.0]] * 2], labels=None)
    assert str(caught.value) == (
        "data.training: must have boxes, which task 'detect' is learned from, got pictures without"
    )


def test_priors_are_as_many_as_candidates():
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        loss(TASK, [[EXACT]], [[[0.0, 0.0]]])
    assert str(caught.value) == (
        "task.boxes.priors: must be as many as the network's 1 candidates, got 2 for pictures of "
        "(16, 32)"
    )
