"""What training makes of heads that are described in less common ways."""

from dataclasses import replace

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.tasks.box_head import BoxColumns, Columns, ScoreColumns
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.priors import Priors
from edgeprep.train.detection import DetectionLoss

SETTINGS = TrainTable(epochs=1)
TASK = Detect(
    labels=("ant", "bee"), boxes=BoxColumns(form="distances", priors=Priors(strides=(16,)))
)
INPUTS, ANT = torch.zeros(1, 3, 16, 32), torch.tensor([[[0.0, 4.0, 4.0, 12.0, 12.0]]])
BOXES = torch.tensor([[[4.0, 4.0, 4.0, 12.0], [1.0, 1.0, 1.0, 1.0]]])
SCORES, THERE = torch.tensor([[[1.0, 0.0], [0.0, -2.0]]]), torch.tensor([[[0.5], [-1.5]]])


def loss(task, *outputs):
    return float(DetectionLoss(task, SETTINGS).loss(lambda _: outputs, INPUTS, ANT))


@pytest.mark.parametrize("background", ["first", "last"])
def test_objectness_of_a_softmax_is_learned_as_the_sigmoid_that_it_is(background):
    plain = replace(TASK, objectness=ScoreColumns(output=2))
    columns = ScoreColumns(output=2, activation="softmax", background=background)
    both = [torch.full_like(THERE, 3.0), THERE + 3.0]
    values = torch.cat(both if background == "first" else both[::-1], -1)
    found = loss(replace(TASK, objectness=columns), BOXES, SCORES, values)
    assert found == pytest.approx(loss(plain, BOXES, SCORES, THERE), rel=1e-5)


def test_networks_that_suppress_what_overlaps_are_not_trained():
    task = replace(TASK, classes=Columns(output=2))
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        DetectionLoss(task, SETTINGS)
    assert str(caught.value) == (
        "task.classes: must be absent where a network is trained, as the number of a class has no "
        "gradient, got output 2; train it with the scores of all classes, before anything is "
        "suppressed"
    )
