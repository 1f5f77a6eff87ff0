"""What training makes small for masks, pictures, maps and several classes, by hand."""

import math

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
from edgeprep.train.objectives import EachCrossEntropy
from edgeprep.train.restoration import MapError, PictureError
from edgeprep.train.segmentation import PixelCrossEntropy

SETTINGS = TrainTable(epochs=1)
INPUTS = torch.zeros(1)


def gives(output):
    """A network that gives `output`, whatever it gets."""
    return lambda _: torch.as_tensor(output, dtype=torch.float32)


def loss(objective, output, labels):
    return float(objective.loss(gives(output), INPUTS, labels))


def test_pixels_are_held_to_their_classes():
    objective = PixelCrossEntropy(Segment(labels=("a", "b")), SETTINGS)
    maps = torch.tensor([[[[0.0, 0.0]], [[math.log(3), 5.0]]]])
    labels = torch.tensor([[[1, 255]]], dtype=torch.uint8)
    assert loss(objective, maps, labels) == pytest.approx(math.log(4 / 3))


def test_a_mask_without_a_pixel_to_learn_from_moves_nothing():
    objective = PixelCrossEntropy(Segment(labels=("a", "b")), SETTINGS)
    maps = torch.ones(1, 2, 1, 2, requires_grad=True)
    value = objective.loss(lambda _: maps, INPUTS, torch.full((1, 1, 2), 255, dtype=torch.uint8))
    value.backward()
    assert float(value.detach()) == 0.0
    assert float(maps.grad.abs().max()) == 0.0


def test_one_map_of_two_classes_is_held_to_the_second():
    task = Segment(labels=("a", "b"), scores="sigmoid")
    labels = torch.tensor([[[1, 0]]], dtype=torch.uint8)
    expected = (math.log(4 / 3) + math.log(2)) / 2
    found = loss(PixelCrossEntropy(task, SETTINGS), [[[[math.log(3), 0.0]]]], labels)
    assert found == pytest.approx(expected)


def test_one_map_of_probabilities_is_held_to_the_second_class():
    task = Segment(labels=("a", "b"), scores="none")
    labels = torch.tensor([[[1, 0]]], dtype=torch.uint8)
    objective = PixelCrossEntropy(task, SETTINGS)
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert loss(objective, [[[[0.75, 0.5]]]], labels) == pytest.approx(expected)
    ours, theirs = torch.tensor([[[[0.5]]]]), torch.tensor([[[[0.75]]]])
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert float(objective.imitation((ours,), (theirs,), 1.0)) == pytest.approx(expected)


def test_numbers_of_classes_teach_nothing():
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        PixelCrossEntropy(Segment(labels=("a", "b"), scores="classes"), SETTINGS)
    assert str(caught.value) == (
        "task.scores: must say how likely classes are, where a network learns, got 'classes'"
    )


def test_maps_are_brought_to_the_size_of_the_mask():
    objective = PixelCrossEntropy(Segment(labels=("a", "b")), SETTINGS)
    maps = torch.tensor([[[[0.0]], [[math.log(3)]]]])
    labels = torch.ones((1, 4, 4), dtype=torch.uint8)
    assert loss(objective, maps, labels) == pytest.approx(math.log(4 / 3))


def test_a_teacher_of_pixels_is_imitated_pixel_by_pixel():
    objective = PixelCrossEntropy(Segment(labels=("a", "b")), SETTINGS)
    ours, theirs = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    theirs[0, 1, 0, 0] = math.log(3)
    # Of the pixel that differs: 1/4 and 3/4 against 1/2 each; of the other, nothing.
    expected = (0.25 * math.log(0.5) + 0.75 * math.log(1.5)) / 2
    assert float(objective.imitation((ours,), (theirs,), 1.0)) == pytest.approx(expected)


def test_pictures_are_held_to_those_they_become():
    labels = torch.tensor([[[[255], [0]]]], dtype=torch.uint8)
    found = loss(PictureError(Restore(), SETTINGS), [[[[0.5, 0.5]]]], labels)
    # Smooth: half of the size of a small error goes.
    assert found == pytest.approx(0.5 - 0.5 / 255)
    wide = PictureError(Restore(range=(-1.0, 1.0)), SETTINGS)
    assert loss(wide, [[[[1.0, -1.0]]]], labels) == 0.0


def test_pictures_are_held_to_what_is_known_of_them():
    objective = PictureError(Restore(), SETTINGS)
    wanted = torch.full((1, 1, 3, 3), math.nan)
    wanted[0, 0, 0] = 255.0
    small = 1 / 255 / 2
    output = torch.tensor([[[[0.5, 0.0, 9.0]]] * 3]).reshape(1, 3, 1, 3).requires_grad_()
    value = objective.loss(lambda _: output, INPUTS, wanted)
    value.backward()
    # Of a difference, half a level is taken: see smooth_l1_loss.
    assert float(value.detach()) == pytest.approx(0.5 - small)
    assert output.grad[..., 1:].count_nonzero() == 0
    nothing = torch.full((1, 1, 3, 3), math.nan)
    assert loss(objective, output.detach(), nothing) == 0.0


@pytest.mark.parametrize(
    ("objective", "task"), [(PictureError, Restore()), (MapError, Depth())], ids=["picture", "map"]
)
def test_what_has_no_classes_has_no_labels_to_smooth(objective, task):
    message = (
        rf"^train\.label_smoothing: must be absent for task '{task.name}', which has no classes, "
        r"got 0\.3$"
    )
    with pytest.raises(RecipeError, match=message):
        objective(task, TrainTable(epochs=1, label_smoothing=0.3))


@pytest.mark.parametrize(
    "objective",
    [PictureError(Restore(), SETTINGS), MapError(Depth(), SETTINGS)],
    ids=["picture", "map"],
)
def test_answers_of_another_shape_are_not_imitated(objective):
    message = (
        r"^distil\.teacher: must have output 0 of shape \(1, 3, 8, 8\), as the network has, "
        r"got \(1, 1, 8, 8\)$"
    )
    with pytest.raises(RecipeError, match=message):
        objective.imitation((torch.zeros(1, 3, 8, 8),), (torch.zeros(1, 1, 8, 8),), 1.0)


def test_pixels_that_are_wrong_and_sure_of_it_are_learned_from():
    objective = PixelCrossEntropy(Segment(labels=("a", "b"), scores="none"), SETTINGS)
    maps = torch.tensor([[[[0.0]], [[1.0]]]], requires_grad=True)
    objective.loss(lambda _: maps, INPUTS, torch.zeros(1, 1, 1, dtype=torch.uint8)).backward()
    assert maps.grad[0, 0, 0, 0] < 0


def test_pictures_of_another_size_are_refused():
    labels = torch.zeros((1, 2, 2, 3), dtype=torch.uint8)
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        loss(PictureError(Restore(), SETTINGS), torch.zeros(1, 3, 4, 4), labels)
    assert str(caught.value) == (
        "task.scale: pictures to become must be as the output, (3, 4, 4), got (3, 2, 2) where "
        "scale is 1"
    )


def test_maps_are_held_to_what_is_known():
    labels = torch.tensor([[[3.0, math.nan]]])
    assert loss(MapError(Depth(scale=2.0), SETTINGS), [[[[1.0, 9.0]]]], labels) == pytest.approx(1)
    assert loss(MapError(Depth(), SETTINGS), [[[1.0, 9.0]]], labels * math.nan) == 0.0


def test_several_classes_are_held_to_each():
    objective = EachCrossEntropy(MultiLabel(labels=("a", "b")), SETTINGS)
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert loss(objective, [[math.log(3), 0.0]], torch.tensor([[1.0, 0.0]])) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("objective", "what"),
    [
        (PixelCrossEntropy(Segment(labels=("a", "b")), SETTINGS), "masks, which task 'segment'"),
        (PictureError(Restore(), SETTINGS), "pictures to become, which task 'restore'"),
        (MapError(Depth(), SETTINGS), "maps, which task 'depth'"),
        (EachCrossEntropy(MultiLabel(labels=("a",)), SETTINGS), "labels, which task 'multilabel'"),
    ],
    ids=["masks", "pictures", "maps", "labels"],
)
def test_pictures_alone_teach_nothing(objective, what):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        loss(objective, torch.zeros(1, 1, 1, 1), None)
    assert str(caught.value) == (
        f"data.training: must have {what} is learned from, got pictures without"
    )
