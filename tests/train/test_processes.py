"""Several processes share a training; the programs of a failed one end."""

import subprocess
import sys

import pytest
import torch
from lightning_fabric.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from edgeprep.errors import TrainingError
from edgeprep.interfaces import Objective
from edgeprep.recipe import TrainTable
from edgeprep.train.devices import children_of, open_fabric

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
