"""What results lie in is known before a network learns, and not when the first epoch is over."""

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tasks.restore import Restore
from edgeprep.train import open_training
from edgeprep.train.learnable import check_learnable

RESIZE = '[[preprocess]]\nuse  = "resize"\nsize = [8, 8]\n'
CROP = '[[preprocess]]\nuse  = "crop"\nsize = [8, 8]\n'
PAIRS = """
from edgeprep.truths import Picture


def pairs():
    for picture, _ in pictures(4):
        yield picture, Picture(picture)
"""


@pytest.fixture
def restoring(project):
    """The data of a recipe that restores, where its pictures are cut to 8×8 pixels first."""

    def open_data(stage, size=""):
        recipe = project(
            {
                RESIZE: stage,
                "[data]": f"{size}[data]",
                "training   = ": 'training = { factory = "data:pairs" }\n#',
                "validation = ": "#",
                "evaluation = ": "#",
            }
        )
        path = recipe.directory / "data.py"
        path.write_text(path.read_text() + PAIRS)
        registry = Registry(installed=False)
        chain = Chain.of_recipe(recipe, registry)
        return open_training(recipe, chain=chain, task=Restore(), registry=registry)

    return open_data


def same_size():
    return torch.nn.Conv2d(3, 3, 3, padding=1)


@pytest.mark.parametrize("size", ["", "[input]\nsize = [9, 8]\n"], ids=["any size", "one size"])
def test_a_crop_is_refused_before_anything_is_learned(restoring, size):
    data = restoring(CROP, size)
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        check_learnable(same_size(), data)
    assert str(caught.value) == (
        "preprocess: task 'restore' must show all of the [9, 8] pixels of a picture, got up to 1 "
        "left out"
    )


def test_a_picture_to_become_is_not_resized(restoring):
    data = restoring(RESIZE)
    check_learnable(same_size(), data)
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        next(data.batches())
    assert str(caught.value) == (
        "preprocess, augment: must leave pixels as large as they are, where a picture is learned, "
        "got one that is resized by 1 and 0.8889; leave out what resizes"
    )
