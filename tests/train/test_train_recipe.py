"""`train_recipe`: what it leaves in a directory, and in which it begins, goes on or refuses."""

import errno
import json

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from edgeprep.alone import alone_in
from edgeprep.errors import (
    CheckpointError,
    DataError,
    OutputExists,
    RecipeError,
    StorageError,
    TrainingError,
)
from edgeprep.train import load_network, train_recipe

FILES = [
    "checkpoint.safetensors",
    "curve.png",
    "metrics.csv",
    "metrics.jsonl",
    "result.json",
    "weights.safetensors",
]
EVALUATION = 'evaluation = { factory = "data:pictures", arguments = { count = 15, seed = 7 } }'

COUNTED = """

def counted():
    with open("{calls}", "a") as file:
        file.write("x")
    return pictures(15, 7)
"""


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


class Stop(Exception):
    pass


def stop(tick):
    if tick.epoch == 2:
        raise Stop("killed")


def test_a_training_leaves_weights_that_the_recipe_can_name(project, output):
    recipe = project({"epochs        = 3": "epochs = 12"})
    trained = train_recipe(recipe, output)
    assert sorted(path.name for path in output.iterdir()) == FILES
    assert json.loads((output / "result.json").read_text()) == {
        "schema_version": 1,
        **trained.to_json(),
    }
    assert trained.to_json() == {
        "directory": str(output),
        "weights": str(output / "weights.safetensors"),
        "checkpoint": str(output / "checkpoint.safetensors"),
        "metrics": str(output / "metrics.csv"),
        "curve": str(output / "curve.png"),
        "epochs": 12,
        "best_epoch": trained.best,
        "metric": "accuracy",
        "validation": 1.0,
        "evaluation": 1.0,
        "warnings": [],
    }
    named = project({'"model:build"': f'"model:build"\nweights = "{trained.weights}"'})
    weights = load_network(named.model, named.directory).state_dict()
    assert weights.keys() == safetensors.torch.load_file(trained.weights).keys()


def test_evaluation_data_decide_nothing_and_are_scored_once(project, output, told):
    recipe = project({EVALUATION: 'evaluation = { factory = "data:counted" }'})
    calls = recipe.directory / "calls"
    data = recipe.directory / "data.py"
    data.write_text(f"{data.read_text()}{COUNTED.format(calls=calls)}")
    trained = train_recipe(recipe, output, progress=told)
    # Once for the first sample, which shows that there are labels.
    assert calls.read_text() == "xx"
    titles = [title for title, _ in told.steps]
    assert titles[-1] == "score the best weights on the evaluation data"
    assert titles.count(titles[-1]) == 1
    line = f"accuracy {trained.evaluation:.4f} on 15 samples"
    assert told.steps[-1][1] == line


def test_the_curve_is_a_picture_of_what_was_kept(project, output, tmp_path):
    train_recipe(project(), output)
    train_recipe(project(), tmp_path / "again")
    curve = Image.open(output / "curve.png")
    assert curve.size == (700, 600)
    assert len(np.unique(np.asarray(curve))) > 10
    assert (output / "curve.png").read_bytes() == (tmp_path / "again" / "curve.png").read_bytes()


def test_a_training_that_was_ended_goes_on(project, output, tmp_path):
    with pytest.raises(Stop, match="killed"):
        train_recipe(project(), output, watch=stop)
    epochs = []
    train_recipe(project(), output, watch=lambda tick: epochs.append(tick.epoch))
    assert epochs[0] == 2
    train_recipe(project(), tmp_path / "straight")
    one, other = (path / "weights.safetensors" for path in (output, tmp_path / "straight"))
    assert one.read_bytes() == other.read_bytes()


def test_a_finished_training_is_replaced_only_on_purpose(project, output):
    train_recipe(project(), output)
    with pytest.raises(OutputExists, match="holds a finished training") as fault:
        train_recipe(project(), output)
    assert str(fault.value) == (
        f"{output}: holds a finished training; pass --overwrite (overwrite=True) to train anew, or "
        "name another directory"
    )
    with pytest.raises(OutputExists, match="holds a finished training") as fault:
        train_recipe(project(train="ema = 0.9"), output)
    assert str(fault.value) == (
        f"{output}: holds a finished training of other settings (train.ema absent -> 0.9); pass "
        "--overwrite (overwrite=True) to train anew, or name another directory"
    )
    (output / "notes.txt").write_text("mine")
    train_recipe(project(train="label_smoothing = 0.1"), output, overwrite=True)
    assert sorted(path.name for path in output.iterdir()) == sorted([*FILES, "notes.txt"])


def test_a_training_of_other_settings_is_replaced_only_on_purpose(project, output):
    with pytest.raises(Stop, match="killed"):
        train_recipe(project(), output, watch=stop)
    recipe = project({"seed = 5": "seed = 6"}, train="ema = 0.9\nrates = { head = 2.0 }")
    with pytest.raises(OutputExists, match="holds a training of other") as fault:
        train_recipe(recipe, output)
    assert str(fault.value) == (
        f"{output}: holds a training of other settings (train.ema absent -> 0.9, train.rates {{}} "
        "-> {'head': 2.0}) and data; pass --overwrite (overwrite=True) to train anew, or name "
        "another directory"
    )
    epochs = []
    train_recipe(recipe, output, overwrite=True, watch=lambda tick: epochs.append(tick.epoch))
    assert epochs[0] == 1


@pytest.mark.parametrize("name", ["weights.safetensors", "metrics.csv", "curve.png"])
def test_files_that_no_training_has_left_are_replaced_only_on_purpose(project, output, name):
    output.mkdir()
    (output / name).write_text("mine")
    with pytest.raises(OutputExists) as fault:  # noqa: PT011 -- whole, below
        train_recipe(project(), output)
    assert str(fault.value) == (
        f"{output}: must hold no files that a training would replace, got {name!r}; pass "
        "--overwrite (overwrite=True) to replace them, or name another directory"
    )
    assert (output / name).read_text() == "mine"
    assert [path.name for path in output.iterdir()] == [name]
    assert train_recipe(project(), output, overwrite=True).epochs == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs", 'freeze = ["feature.*"]\nepochs', r"^train\.freeze\[0\]: must match"),
        ("epochs", 'freeze = ["*"]\nepochs', r"^train\.freeze: must leave"),
        ("epochs", 'rates = { "feature.*" = 0.1 }\nepochs', r"^train\.rates\.feature\.\*: must"),
        ("batch         = 8", "batch = 25", r"^train\.batch: must be at most the 24"),
    ],
    ids=["freeze", "freeze all", "rates", "batch"],
)
def test_settings_that_do_not_fit_cost_nothing_that_is_there(project, output, old, new, message):
    train_recipe(project(), output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    with pytest.raises(RecipeError, match=message):
        train_recipe(project({old: new}), output, overwrite=True)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


DROPPED = "self.head(self.dropout(self.features(x).mean((2, 3))))"
BROKEN = "self.head(self.dropout(self.features(x).mean((2, 3))) if not self.training else x)"


def test_a_training_that_is_refused_by_its_first_step_leaves_nothing_behind(project, tmp_path):
    recipe = project()
    model = recipe.directory / "model.py"
    good = model.read_text()
    model.write_text(good.replace(DROPPED, BROKEN))
    output = tmp_path / "new" / "output"
    with pytest.raises(RecipeError, match=r"^model\.factory: the network must learn"):
        train_recipe(recipe, output)
    assert not output.parent.exists()
    output.mkdir(parents=True)
    (output / "notes.txt").write_text("mine")
    with pytest.raises(RecipeError, match=r"^model\.factory: the network must learn"):
        train_recipe(recipe, output)
    assert [path.name for path in output.iterdir()] == ["notes.txt"]
    model.write_text(good)
    assert train_recipe(recipe, output).epochs == 3


def test_what_was_learned_stays_when_a_later_epoch_is_refused(project, output):
    new = 'training = { factory = "data:failing", per_epoch = true }'
    with pytest.raises(DataError, match=r"^data\.training"):
        train_recipe(project({'training   = { factory = "data:pictures" }': new}), output)
    kept = ["checkpoint.safetensors", "metrics.csv", "metrics.jsonl", "weights.safetensors"]
    assert sorted(path.name for path in output.iterdir()) == kept


@pytest.mark.parametrize(
    ("model", "train", "said"),
    [
        ("", "", "the weights that model.factory makes"),
        (
            'weights = "old.safetensors"',
            "",
            (
                "the weights that model.factory makes; name 'old.safetensors' of model.weights in "
                "train.weights to start from it"
            ),
        ),
        (
            'weights = "new.safetensors"',
            'weights = "old.safetensors"',
            "'old.safetensors' of train.weights",
        ),
    ],
    ids=["neither", "of the model", "of the training"],
)
def test_a_training_says_what_it_starts_from(project, output, told, model, train, said):
    recipe = project()
    old = load_network(recipe.model, recipe.directory).state_dict()
    safetensors.torch.save_file(old, recipe.directory / "old.safetensors")
    recipe = project({'"model:build"': f'"model:build"\n{model}'}, train=train)
    train_recipe(recipe, output, progress=told)
    assert told.steps[0] == ("start from", said)


def test_a_checkpoint_is_no_file_of_weights(project, output):
    with pytest.raises(Stop, match="killed"):
        train_recipe(project(), output, watch=stop)
    recipe = project(train=f'weights = "{output}/checkpoint.safetensors"')
    with pytest.raises(CheckpointError, match=r"^train\.weights") as fault:
        train_recipe(recipe, output, overwrite=True)
    weights = output / "weights.safetensors"
    assert str(fault.value).endswith(
        f"; this is the checkpoint of a training, whose weights are in {str(weights)!r}"
    )


TARGET = '[[target]]\nformat    = "onnx"\nprecision = ["fp32"]\n'


def test_a_recipe_for_training_alone_needs_no_target(project, output):
    assert train_recipe(project({TARGET: ""}), output).epochs == 3


def test_weights_stay_until_there_are_new_ones(project, output):
    train_recipe(project(), output)
    before = (output / "weights.safetensors").read_bytes()
    explode = project({"learning_rate = 0.05": "learning_rate = 1e30"})
    with pytest.raises(TrainingError, match=r"^train: epoch 1, step"):
        train_recipe(explode, output, overwrite=True)
    assert (output / "weights.safetensors").read_bytes() == before


def test_a_damaged_training_is_refused_with_what_helps(project, output):
    with pytest.raises(Stop, match="killed"):
        train_recipe(project(), output, watch=stop)
    path = output / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="bytes that have changed") as fault:
        train_recipe(project(), output)
    assert str(fault.value) == (
        f"{path}: must be a checkpoint of a training, got bytes that have changed since; pass "
        "--overwrite (overwrite=True) to train anew, or name another directory"
    )
    assert train_recipe(project(), output, overwrite=True).epochs == 3


def test_a_training_under_way_is_not_replaced(project, output):
    output.mkdir()
    (output / "checkpoint.safetensors").write_text("of the other one")
    with (
        alone_in(output, "training"),
        pytest.raises(StorageError, match="one training at a time may work in it"),
    ):
        train_recipe(project(), output, overwrite=True)
    assert [path.name for path in output.iterdir()] == ["checkpoint.safetensors"]


def test_a_kill_between_the_last_epoch_and_the_score_costs_nothing(project, output):
    train_recipe(project(), output)
    (output / "result.json").unlink()
    steps = []
    trained = train_recipe(project(), output, watch=steps.append)
    assert (steps, trained.epochs) == ([], 3)


def test_data_that_overlap_are_warned_of_with_the_count(project, output, told):
    new = 'evaluation = { factory = "data:pictures", arguments = { count = 6 } }'
    trained = train_recipe(project({EVALUATION: new}), output, progress=told)
    warning = (
        "6 of the 6 pictures of data.evaluation are in data.training, too, identical to the "
        "pixel; a score on them says little of new pictures"
    )
    assert trained.warnings == (warning,)
    assert ("warning", warning) in told.steps


@pytest.mark.parametrize(
    "augment", ["", '[[augment]]\nuse = "random-flip"'], ids=["plain", "varied"]
)
def test_pictures_that_cannot_be_read_are_counted_and_named(project, output, told, augment):
    new = 'training   = { use = "image-folder", path = "pictures" }'
    recipe = project({'training   = { factory = "data:pictures" }': new}, train=augment)
    random = np.random.default_rng(0)
    for label in ("red", "green", "blue"):
        directory = recipe.directory / "pictures" / label
        directory.mkdir(parents=True)
        for index in range(8):
            noise = random.integers(0, 256, (9, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).save(directory / f"{index}.png")
    (recipe.directory / "pictures" / "red" / "broken.png").write_text("no picture")
    trained = train_recipe(recipe, output, progress=told)
    assert trained.warnings == ("data.training: 1 unreadable left out: 'red/broken.png'",)


def test_an_output_that_is_a_file_is_refused(project, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(StorageError, match="must be a directory") as fault:
        train_recipe(project(), path)
    assert str(fault.value) == f"{path}: must be a directory, got a file"


def test_an_output_that_cannot_be_made_is_refused(project, tmp_path):
    (tmp_path / "file").write_text("mine")
    path = tmp_path / "file" / "below"
    with pytest.raises(StorageError, match="must be a directory that can be written") as fault:
        train_recipe(project(), path)
    assert str(fault.value) == (
        f"{path}: must be a directory that can be written, got 'Not a directory'"
    )


def test_a_full_disk_ends_a_training_and_leaves_what_was_kept(project, output, monkeypatch):
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        # Each file has one, and its directory; before it are three files and the first checkpoint.
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(StorageError, match="No space left") as fault:
        train_recipe(project(), output)
    assert str(fault.value).startswith(
        f"{output}/checkpoint.safetensors: must be a file that can be written, got 'No space "
        "left on device'; "
    )
    monkeypatch.undo()
    epochs = []
    train_recipe(project(), output, watch=lambda tick: epochs.append(tick.epoch))
    # What was kept of the first epoch was the first file without room.
    assert epochs[0] == 1


def test_a_task_that_is_not_there_is_told(project, output):
    with pytest.raises(RecipeError, match=r"^task\.use") as fault:
        train_recipe(project({'"classify"': '"clasify"'}), output)
    assert str(fault.value).startswith("task.use: ")
    assert "'classify'" in str(fault.value)


def test_evaluation_data_without_labels_are_refused(project, output):
    recipe = project({EVALUATION: 'evaluation = { factory = "data:unlabelled" }'})
    with pytest.raises(DataError, match=r"^data\.evaluation") as fault:
        train_recipe(recipe, output)
    assert str(fault.value) == "data.evaluation: must have labels, got pictures without"


def test_without_evaluation_data_there_is_no_score(project, output):
    trained = train_recipe(project({EVALUATION: ""}), output)
    assert trained.evaluation is None
    assert trained.validation is not None


def test_nothing_is_left_where_the_data_are_at_fault(project, output):
    new = 'evaluation = { factory = "data:failing", arguments = { epoch = 1 } }'
    recipe = project({EVALUATION: new})
    with pytest.raises(DataError, match=r"^data\.evaluation"):
        train_recipe(recipe, output)
    assert not output.exists()


def test_training_starts_from_weights_that_have_learned_other_classes(project, output):
    recipe = project({'"model:build"': '"model:build"\narguments = { classes = 7 }'})
    old = load_network(recipe.model, recipe.directory).state_dict()
    safetensors.torch.save_file(old, recipe.directory / "old.safetensors")
    model = '"model:build"\narguments = { classes = 7 }\nhead = { module = "head", classes = 3 }'
    settings = 'weights = "old.safetensors"\nfreeze = ["features"]'
    trained = train_recipe(project({'"model:build"': model}, train=settings), output)
    weights = safetensors.torch.load_file(trained.weights)
    assert weights["head.weight"].shape == (3, 4)
    assert (weights["features.0.weight"] == old["features.0.weight"]).all()
