"""Networks learn, and what they leave."""

import csv
import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from edgeprep.interfaces import Objective
from edgeprep.recipe import load_recipe

EVALUATION = 'evaluation = { factory = "data:pictures", arguments = { count = 15, seed = 7 } }'
UNLABELLED = {
    'training   = { factory = "data:pictures" }': 'training = { factory = "data:unlabelled" }'
}


def test_a_network_learns_and_is_given_back_ready_for_use(project, opened, train):
    recipe = project({"epochs        = 3": "epochs = 12"})
    data = opened(recipe)
    fitted = train(recipe, data=data)
    assert fitted.history[-1].loss < fitted.history[0].loss / 2
    assert fitted.best == data.score(fitted.network) == 1.0
    assert not fitted.network.training
    assert not any(parameter.requires_grad for parameter in fitted.network.parameters())


def test_what_is_random_elsewhere_and_torchs_threads_stay_as_they_were(project, train):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(project(train="threads = 2"))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_metrics_have_a_line_an_epoch(project, train, storage):
    fitted = train(project())
    lines = (storage / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["loss"] for row in rows] == [row.loss for row in fitted.history]
    with (storage / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["epoch", "loss", "learning_rate", "accuracy", "seconds"]
    assert [float(row["accuracy"]) for row in table] == [row["accuracy"] for row in rows]


def test_progress_is_told_of_data_and_epochs(project, train, told):
    train(project({"epochs        = 3": "epochs = 1"}), progress=told)
    (read, data), (epoch, row) = told.steps
    assert (read, data) == ("read the training data", "24 pictures to learn from, 12 to choose by")
    assert epoch == "epoch 1 of 1"
    assert row.startswith("loss 1.")
    assert row.endswith(", learning rate 0.013")


def test_validation_pictures_that_are_learned_from_are_warned_of(project, train, told):
    recipe = project({"arguments = { count = 12, seed = 5 }": "arguments = { count = 12 }"})
    train(recipe, progress=told)
    warning = (
        "12 of the 12 pictures of data.validation are in data.training, too, identical to the "
        "pixel; a score on them says little of new pictures"
    )
    assert told.steps[1] == ("warning", warning)


class Falling(Objective):
    """A loss that makes the network's answers worse, so that its first epoch is its best."""

    def loss(self, network, inputs, labels):
        return -torch.nn.functional.cross_entropy(network(inputs), labels)


def test_evaluation_pictures_that_are_learned_from_are_warned_of_once(
    project, opened, train, told, tmp_path
):
    new = 'evaluation = { factory = "data:pictures", arguments = { count = 6 } }'
    recipe = project({EVALUATION: new})
    data = opened(recipe)
    other = tmp_path / "other"
    other.mkdir()
    train(recipe, data=data, progress=told)
    # As another pass of one conversion does, which looks at its pictures in other ways, too.
    train(recipe, data=replace(data), storage=other, progress=told)
    warning = (
        "6 of the 6 pictures of data.evaluation are in data.training, too, identical to the "
        "pixel; a score on them says little of new pictures"
    )
    assert [step for step in told.steps if step[0] == "warning"] == [("warning", warning)]


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_a_training(
    project, opened, train, storage, told
):
    recipe = project(
        {"epochs        = 3": "epochs = 9"}, train='patience = 2\nschedule = "constant"'
    )
    data = opened(recipe)
    fitted = train(recipe, data=data, objective=Falling(), progress=told)
    scores = [row.scores["accuracy"] for row in fitted.history]
    assert fitted.epoch == scores.index(max(scores)) + 1
    assert len(scores) == fitted.epoch + 2 < 9
    assert told.steps[-1] == (
        "stop early",
        f"no better for 2 epochs; epoch {fitted.epoch} kept",
    )
    assert data.score(fitted.network) == fitted.best == max(scores)
    kept = safetensors.torch.load_file(storage / "weights.safetensors")
    assert all(torch.equal(kept[name], v) for name, v in fitted.network.state_dict().items())


def test_without_validation_data_the_last_weights_are_kept(project, train):
    recipe = project()
    lines = recipe.directory / "recipe.toml"
    text = lines.read_text()
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("validation"))
    lines.write_text(kept)
    fitted = train(load_recipe(lines))
    assert (fitted.best, fitted.epoch, fitted.history[0].scores) == (None, 3, {})


class Spread(Objective):
    """What can be learned without labels."""

    def loss(self, network, inputs, labels):
        assert labels is None
        return network(inputs).square().mean()


def test_another_objective_learns_without_labels(project, train):
    recipe = project(UNLABELLED)
    fitted = train(recipe, objective=Spread())
    assert fitted.history[-1].loss < fitted.history[0].loss


def test_a_fine_tuning_has_epochs_and_a_learning_rate_of_its_own(project, train):
    recipe = project(train='schedule = "constant"')
    fitted = train(recipe, epochs=2, learning_rate=0.003)
    assert [row.learning_rate for row in fitted.history] == [0.003, 0.003]


def test_what_is_frozen_stays_as_it_was_and_the_rest_learns(project, network, train):
    recipe = project(train='freeze = ["features.*"]')
    before = network(recipe).state_dict()
    after = train(recipe).network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    # The running statistics of batch normalization included.
    assert changed == {"head.weight", "head.bias"}


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_a_network_has_its_own_precision_again_afterwards(project, train, precision):
    fitted = train(project(train=f'precision = "{precision}"'))
    assert {value.dtype for value in fitted.network.state_dict().values()} == {
        torch.float32,
        torch.int64,
    }
