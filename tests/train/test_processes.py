"""Several processes share a training; the programs of a failed one end."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from lightning_fabric.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch.multiprocessing import ProcessRaisedException

from edgeprep.errors import DataError, RecipeError, TrainingError, UnknownName
from edgeprep.interfaces import Objective
from edgeprep.metrics import Metric
from edgeprep.recipe import TrainTable
from edgeprep.train.checkpoint import read_checkpoint
from edgeprep.train.devices import children_of, open_fabric
from edgeprep.train.files import CHECKPOINT, EPOCH

# Where other tests have loaded jax, it warns of every fork; no process here touches it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

PLAIN = {'"model:build"': '"model:plain"'}
TWO = 'strategy = "ddp_fork"\ndevices = 2\noptimizer = "sgd"'


def test_two_processes_learn_what_one_does(project, train, tmp_path):
    alone = train(project(PLAIN, train='optimizer = "sgd"'))
    storage = tmp_path / "shared"
    storage.mkdir()
    shared = train(project(PLAIN, train=TWO), storage=storage)
    others = shared.network.state_dict()
    for name, value in alone.network.state_dict().items():
        # Sums of halves round otherwise than sums, in float32, over nine steps.
        assert torch.allclose(value, others[name], atol=1e-5)
    for one, other in zip(alone.history, shared.history, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.scores == other.scores


def test_a_shared_training_that_is_finished_is_not_begun_again(project, train):
    recipe = project(PLAIN, train=TWO)
    assert train(recipe).history == train(recipe).history


class Ending(Objective):
    def loss(self, network, inputs, labels):
        return network(inputs).sum() * float("nan")


def test_an_error_of_a_fork_is_that_error_here(project, train):
    with pytest.raises(TrainingError, match="the loss must be finite, got nan"):
        train(project(PLAIN, train=TWO), objective=Ending())


class Torn(Objective):
    """One process cannot read what it should learn from; or its network fails."""

    def __init__(self, error):
        self.error = error

    def loss(self, network, inputs, labels):
        if torch.distributed.get_rank() == 1:
            raise self.error
        return network(inputs).square().mean()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (DataError("sample 7 is torn"), DataError, "sample 7 is torn"),
        (UnknownName("no stage 'b'"), UnknownName, "no stage 'b'"),
        (
            KeyError("hub"),
            RecipeError,
            (
                "model.factory: the network must learn from every picture of the data, got "
                "KeyError: 'hub' (test_processes.py:66)"
            ),
        ),
    ],
    ids=["data", "lookup", "network"],
)
def test_the_error_of_the_process_that_failed_is_the_one_that_is_told(
    project, train, error, kind, message
):
    with pytest.raises(kind) as fault:
        train(project(PLAIN, train=TWO), objective=Torn(error))
    assert str(fault.value) == message


class Killing(Objective):
    def loss(self, network, inputs, labels):
        if torch.distributed.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return network(inputs).square().mean()


def test_a_process_that_is_killed_ends_the_training(project, train):
    with pytest.raises(TrainingError, match=r"^train: every process") as fault:
        train(project(PLAIN, train=TWO), objective=Killing())
    assert str(fault.value) == (
        "train: every process must come to the end of the training, got ProcessExitedException: "
        "process 1 terminated with signal SIGKILL"
    )


def certainty(predictions, labels):
    """A score that every weight and every statistic changes."""
    return sum(prediction.scores[0] for prediction in predictions) / len(labels)


@pytest.mark.parametrize("more", ["", "\nema = 0.8"], ids=["weights", "average"])
def test_the_score_is_that_of_the_network_that_comes_back(project, opened, train, more):
    recipe = project(train=TWO + more)
    metric = Metric(name="certainty", higher_is_better=True, score=certainty)
    data = replace(opened(recipe), metric=metric)
    fitted = train(recipe, data=data)
    # Each process with the statistics of its own pictures scored 1e-4 apart.
    assert data.score(fitted.network) == pytest.approx(fitted.best, abs=1e-6)


class Killed(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 4], ids="after step {}".format)
def test_two_processes_that_were_ended_come_to_the_same_weights(
    project, opened, train, storage, tmp_path, stop
):
    # Batch normalization, dropout and an average: all of what may differ between them.
    recipe = project(train=f"{TWO}\nema = 0.8\nsave_minutes = 1e-9")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    metric = Metric(name="certainty", higher_is_better=True, score=certainty)
    data = replace(opened(recipe), metric=metric)
    straight = train(recipe, data=data, storage=elsewhere)

    def watch(tick):
        if (tick.epoch - 1) * tick.steps + tick.step == stop + 1:
            raise Killed("in the middle")

    with pytest.raises(ProcessRaisedException, match="Killed: in the middle"):
        train(recipe, data=data, watch=watch)
    assert read_checkpoint(storage / EPOCH).state["step"] == (stop - 1) % 3 + 1
    resumed = train(recipe, data=data)
    for one, other in zip(straight.history, resumed.history, strict=True):
        assert (one.loss, one.scores) == (other.loss, other.scores)
    files = [read_checkpoint(path / CHECKPOINT) for path in (elsewhere, storage)]
    for name, value in files[0].tensors.items():
        assert torch.equal(value, files[1].tensors[name]), name


def fail(fabric):
    with children_of(fabric):
        raise KeyError("hub")


def test_programs_for_other_devices_end_with_the_one_that_failed():
    fabric = open_fabric(TrainTable(accelerator="cpu", devices=2, strategy="ddp"))
    launcher = fabric.strategy.launcher
    assert isinstance(launcher, _SubprocessScriptLauncher)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    launcher.procs.append(child)
    with pytest.raises(KeyError, match="hub"):
        fail(fabric)
    assert child.wait(30) == -9
    child.stdin.close()
