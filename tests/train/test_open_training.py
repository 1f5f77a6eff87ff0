"""The data of a recipe, as training and compression get them."""

import numpy as np
import pytest
import torch

from edgeprep.errors import DataError, RecipeError
from edgeprep.pictures import write_picture
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.train.seeds import order_of

TRAINING = 'training   = { factory = "data:pictures" }'
VALIDATION = 'validation = { factory = "data:pictures", arguments = { count = 12, seed = 5 } }'
AUGMENT = '[[augment]]\nuse = "random-flip"\n\n[data]'
FOLDER = 'training = { use = "image-folder", path = "pictures" }'


@pytest.fixture
def folder(tmp_path):
    """A picture of another size in each class, in which the first pixel says which it is."""
    for index, name in enumerate(("red", "green", "blue")):
        path = tmp_path / "project" / "pictures" / name
        path.mkdir(parents=True)
        for turn in range(2):
            picture = np.full((8 + index, 9, 3), 100 * turn + index, np.uint8)
            write_picture(path / f"{turn}.png", picture)
    return tmp_path / "project" / "pictures"


@pytest.mark.parametrize(
    "replace",
    [{}, {"[data]": AUGMENT}, {TRAINING: TRAINING.replace(" }", ", per_epoch = true }")}],
    ids=["still", "augmented", "drawn anew"],
)
def test_batches_are_the_preprocessed_pictures_in_their_order_without_augmentation(
    project, opened, replace
):
    recipe = project(replace)
    data = opened(recipe)
    batches = list(data.batches(20))
    assert [len(inputs) for inputs, _ in batches] == [8, 8, 4]
    inputs = torch.cat([inputs for inputs, _ in batches]).numpy()
    labels = torch.cat([labels for _, labels in batches])
    assert labels.tolist() == [index % 3 for index in range(20)]
    chain = Chain(input=data.plain.host.input, stages=_stages(data))
    for found, (picture, _) in zip(inputs, data.training.samples(0), strict=False):
        host, graph = chain.cut("split")
        expected = graph.apply(NumpyPrimitives(), host.prepare(picture))
        # Torch and numpy differ by the rounding of float32.
        assert np.abs(found - expected[0]).max() <= 1e-5


def _stages(data):
    return (*data.plain.host.stages, *data.plain.graph.chain.stages)


def test_all_samples_are_given_where_no_number_is(project, opened):
    assert sum(len(labels) for _, labels in opened(project()).batches()) == 24


def test_every_epoch_has_the_pictures_in_another_order_that_repeats():
    orders = [order_of(50, seed=0, epoch=epoch).tolist() for epoch in (0, 1, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] == orders[2]


def test_a_score_is_that_of_the_validation_data(project, opened):
    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = torch.nn.Parameter(torch.tensor([0.0, 1.0, 0.0]))

        def forward(self, inputs):
            assert not self.training
            return self.answer.expand(len(inputs), 3)

    network = Constant().train()
    assert opened(project()).score(network) == pytest.approx(1 / 3)
    assert network.training


def test_there_is_no_score_without_validation_data(project, opened, network):
    recipe = project({VALIDATION: ""})
    assert opened(recipe).score(network(recipe)) is None


def test_varied_pictures_of_a_folder_are_read_when_they_are_asked_for(project, opened, folder):
    data = opened(project({TRAINING: FOLDER, "[data]": AUGMENT}))
    assert data.supply.labels == (0, 0, 1, 1, 2, 2)
    ((pictures, labels),) = data.supply.batches(0, [np.array([5, 2])])
    assert pictures[:, 0, 0, 0].tolist() == [102, 1]
    assert labels.tolist() == [2, 1]


def test_a_picture_that_goes_away_is_an_error_of_the_data(project, opened, folder):
    data = opened(project({TRAINING: FOLDER, "[data]": AUGMENT}))
    assert len(data.supply) == 6
    path = folder / "green" / "1.png"
    path.unlink()
    with pytest.raises(DataError, match=r"^data\.training") as fault:
        next(data.supply.batches(0, [np.array([3])]))
    assert str(fault.value) == (
        "data.training: sample 3 must be there as long as it is learned from, got "
        f"\"{path}: must be a file that can be read, got 'No such file or directory'\""
    )


def test_a_picture_too_small_for_an_augmentation_is_an_error_of_the_data(project, opened):
    crop = '[[augment]]\nuse = "random-crop"\nsize = [9, 9]\n\n[data]'
    data = opened(project({"[data]": crop}))
    with pytest.raises(DataError, match=r"^data\.training: sample 4: ") as fault:
        next(data.supply.batches(0, [np.array([4])]))
    assert str(fault.value).startswith("data.training: sample 4: ")
    assert "9" in str(fault.value)


@pytest.mark.parametrize(
    ("replace", "settings", "error", "message"),
    [
        (
            {TRAINING: ""},
            "",
            RecipeError,
            "data.training: required key is missing; name the pictures that are learned from",
        ),
        (
            {VALIDATION: ""},
            "patience = 2",
            RecipeError,
            (
                "train.patience: needs data.validation to be judged by, got none; "
                "name pictures there, or leave patience out"
            ),
        ),
        (
            {VALIDATION: 'validation = { factory = "data:unlabelled" }'},
            "",
            DataError,
            "data.validation: must have labels, got pictures without",
        ),
        (
            {VALIDATION: VALIDATION.replace("arguments", "per_epoch = true, arguments")},
            "",
            RecipeError,
            (
                "data.validation.per_epoch: must be false here, got true; "
                "only data.training changes from epoch to epoch"
            ),
        ),
        (
            {
                '[[preprocess]]\nuse  = "norm': '[[preprocess]]\nuse = "tile"\nsize = [4, 4]\n'
                '[[preprocess]]\nuse  = "norm'
            },
            "",
            RecipeError,
            "preprocess: must make one picture of one, where a network learns, got 4",
        ),
    ],
    ids=["no training", "no validation", "no labels", "changing validation", "tiles"],
)
def test_a_recipe_that_cannot_be_learned_from_is_refused(
    project, opened, replace, settings, error, message
):
    recipe = project(replace, train=settings)
    with pytest.raises(error, match=r"^(data|train|preprocess)") as fault:
        opened(recipe)
    assert str(fault.value) == message


@pytest.mark.parametrize("name", ["training", "validation"])
def test_an_empty_class_is_an_error(project, opened, name):
    old = {"training": TRAINING, "validation": VALIDATION}[name]
    new = f'{name} = {{ factory = "data:pictures", arguments = {{ labels = 2 }} }}'
    data = opened(project({old: new}))
    with pytest.raises(DataError, match="must have pictures of all 3 classes") as fault:
        _ = data.supply, data.held_out
    assert str(fault.value) == (
        f"data.{name}: must have pictures of all 3 classes, got 2; there is none of 'blue'"
    )


def test_a_label_that_is_missing_in_the_middle_is_an_error(project, opened):
    recipe = project({TRAINING: 'training = { factory = "data:patchy" }'})
    (recipe.directory / "data.py").write_text(
        "import numpy as np\n"
        "def pictures(count, seed):\n    return patchy()\n"
        "def patchy():\n"
        "    for label in (0, 1, None, 2):\n"
        "        yield np.zeros((8, 8, 3), np.uint8), label\n"
    )
    with pytest.raises(DataError, match=r"^data\.training") as fault:
        _ = opened(recipe).supply
    assert str(fault.value) == (
        "data.training: the label of sample 2 must be a whole number, got None"
    )
