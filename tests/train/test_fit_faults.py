"""What can go wrong in a training, in whole messages."""

import os
import time
from multiprocessing import get_context

import pytest
import torch

from edgeprep.alone import alone_in
from edgeprep.errors import DataError, RecipeError, StorageError, TrainingError
from edgeprep.interfaces import Objective
from edgeprep.train.checkpoint import read_checkpoint

# Workers are forks. Where other tests have loaded jax, it warns of them; no worker touches it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

STEPS = 3  # of an epoch: 24 pictures in batches of 8
NOTHING = "no epoch has ended, so that no weights are kept"
REMEDY = "lower train.learning_rate, or set train.clip_norm"
UNLABELLED = {
    'training   = { factory = "data:pictures" }': 'training = { factory = "data:unlabelled" }'
}


class Ending(Objective):
    """A loss that is no number from some step on."""

    def __init__(self, step, value):
        self.left, self.value = step, value

    def loss(self, network, inputs, labels):
        self.left -= 1
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        return loss if self.left else loss * self.value


@pytest.mark.parametrize(
    ("step", "value", "place", "got", "rate", "best", "ended"),
    [
        (2, float("nan"), "epoch 1, step 2", "nan", "0.0485", None, 0),
        (8, float("inf"), "epoch 3, step 2", "inf", "0.00585", 1, 2),
    ],
)
def test_a_loss_that_is_no_number_ends_a_training_and_keeps_the_last_good_weights(
    project, train, storage, step, value, place, got, rate, best, ended
):
    # Each step is kept, and each of an epoch that goes wrong is gone afterwards.
    recipe = project(train="save_minutes = 1e-9")
    with pytest.raises(TrainingError, match="the loss must be finite") as fault:
        train(recipe, objective=Ending(step, value))
    weights = storage / "weights.safetensors"
    where = f"{str(weights)!r} has the best weights before, of epoch {best}"
    assert str(fault.value) == (
        f"train: {place}: the loss must be finite, got {got} at learning rate {rate}; "
        f"{where if best else NOTHING}; {REMEDY}"
    )
    assert weights.exists() == bool(best)
    checkpoint = read_checkpoint(storage / "checkpoint.safetensors")
    assert (checkpoint.state["epoch"], checkpoint.state["step"]) == (ended, 0)
    assert all(bool(torch.isfinite(value).all()) for value in checkpoint.tensors.values())
    assert not (storage / "unfinished-epoch.safetensors").exists()


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("compress[1].learning_rate", "lower compress[1].learning_rate, or set train.clip_norm"),
        ("", "set train.clip_norm"),
    ],
)
def test_a_pass_whose_loss_is_no_number_is_named_with_its_own_learning_rate(
    project, train, key, remedy
):
    with pytest.raises(TrainingError, match="the loss must be finite") as fault:
        train(project(), objective=Ending(1, float("nan")), where="compress[1]", rate_key=key)
    assert str(fault.value) == (
        "compress[1]: epoch 1, step 1: the loss must be finite, got nan at learning rate 0.05; "
        f"{NOTHING}; {remedy}"
    )


class Exploding(Objective):
    """A finite loss with gradients that are not, in one step."""

    def __init__(self, step):
        self.left = step

    def loss(self, network, inputs, labels):
        self.left -= 1
        answers = network(inputs)
        # The square root of 0 has no finite slope.
        return answers.sum() if self.left else (answers - answers.detach()).abs().sqrt().sum()


def test_weights_that_are_no_numbers_are_not_kept(project, train, storage):
    with pytest.raises(TrainingError, match="the weights must be finite") as fault:
        train(project(), objective=Exploding(STEPS))
    assert str(fault.value) == (
        "train: epoch 1, step 3: the weights must be finite, got NaN or infinity in "
        f"'features.0.weight' at learning rate 0.0442; {NOTHING}; {REMEDY}"
    )
    assert [path.name for path in storage.iterdir()] == ["checkpoint.safetensors"]


def test_a_step_that_breaks_the_weights_is_not_kept_within_an_epoch(project, train, storage):
    class Stop(Exception):
        pass

    def watch(tick):
        if tick.step == 3:
            raise Stop("killed")

    recipe = project(train="save_minutes = 1e-9")
    with pytest.raises(Stop, match="killed"):
        train(recipe, objective=Breaking(), watch=watch)
    kept = read_checkpoint(storage / "unfinished-epoch.safetensors")
    assert (kept.state["epoch"], kept.state["step"]) == (0, 1)
    assert all(bool(torch.isfinite(value).all()) for value in kept.tensors.values())


class Breaking(Exploding):
    """As `Exploding` in its second step; afterwards a loss that does not look at the weights."""

    def __init__(self):
        super().__init__(2)

    def loss(self, network, inputs, labels):
        if self.left > 0:
            return super().loss(network, inputs, labels)
        return next(network.parameters()).detach().sum().nan_to_num().requires_grad_()


def test_a_training_without_epochs_is_refused(project, train):
    with pytest.raises(RecipeError, match=r"^train\.epochs: must be at least 1, got 0$"):
        train(project(), epochs=0)


def test_a_batch_of_more_pictures_than_there_are_is_refused(project, train):
    with pytest.raises(RecipeError, match=r"^train\.batch") as fault:
        train(project({"batch         = 8": "batch = 25"}))
    assert (
        str(fault.value) == "train.batch: must be at most the 24 pictures of data.training, got 25"
    )


def test_pictures_without_labels_are_no_lesson_for_the_tasks_own_loss(project, train):
    with pytest.raises(RecipeError, match=r"^data\.training") as fault:
        train(project(UNLABELLED))
    assert str(fault.value) == (
        "data.training: must have labels, which task 'classify' is learned from, got pictures "
        "without"
    )


def test_a_network_that_does_not_fit_the_task_is_refused(project, train):
    recipe = project({'"model:build"': '"model:build"\narguments = { classes = 4 }'})
    with pytest.raises(RecipeError, match=r"^task\.labels") as fault:
        train(recipe)
    assert (
        str(fault.value) == "task.labels: must name each of the network's 4 classes, got 3 labels"
    )


class Failing(Objective):
    def __init__(self, error):
        self.error = error

    def loss(self, network, inputs, labels):
        raise self.error


def test_a_fault_of_the_network_is_told(project, train):
    with pytest.raises(RecipeError, match=r"^model\.factory") as fault:
        train(project(), objective=Failing(KeyError("hub")))
    assert str(fault.value) == (
        "model.factory: the network must learn from every picture of the data, got "
        f"KeyError: 'hub' (test_fit_faults.py:{Failing.loss.__code__.co_firstlineno + 1})"
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate"),
    ],
    ids=["accelerator", "processor"],
)
def test_memory_that_does_not_suffice_is_told_with_a_remedy(project, train, error):
    with pytest.raises(TrainingError, match="must fit into memory") as fault:
        train(project(), objective=Failing(error))
    assert str(fault.value).startswith(
        f"train: epoch 1, step 1 must fit into memory, got {type(error).__name__}: {error} ("
    )
    assert str(fault.value).endswith("); a smaller train.batch needs less")


def test_a_damaged_checkpoint_is_begun_anew_with_a_word(project, train, told, storage):
    first = train(project())
    path = storage / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    again = train(project(), progress=told)
    said = f"what was kept is damaged: {path}: must be a checkpoint of a training, got bytes that "
    assert ("begin anew", f"{said}have changed since") in told.steps
    assert [row.loss for row in again.history] == [row.loss for row in first.history]


def test_two_trainings_do_not_work_in_one_directory(project, train, storage):
    (storage / ".edgeprep-0123456789abcdef.tmp").write_bytes(b"of the other one")
    with (
        alone_in(storage, "training"),
        pytest.raises(StorageError, match="one training at a time") as fault,
    ):
        train(project())
    assert str(fault.value) == (
        f"{storage}: one training at a time may work in it, got another one under way; wait for "
        "its end, or name another directory"
    )
    assert [path.suffix for path in storage.iterdir()] == [".tmp"]
    assert len(train(project()).history) == 3


def test_a_child_that_outlives_a_training_does_not_keep_others_out(storage):
    def trainer():
        with alone_in(storage, "training"):
            worker = get_context("fork").Process(target=work)
            worker.start()
            started.wait()
            os._exit(9)  # as a kill: nothing is put in order

    def work():
        started.set()
        ended.wait()

    started, ended = (get_context("fork").Event() for _ in range(2))
    process = get_context("fork").Process(target=trainer)
    process.start()
    # NOTE: not by join(30), which waits for the end of a pipe that the child has, too.
    limit = time.monotonic() + 30
    while process.exitcode is None and time.monotonic() < limit:
        time.sleep(0.01)
    assert process.exitcode == 9
    try:
        with alone_in(storage, "training"):
            assert not ended.is_set()
    finally:
        ended.set()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            "shrinking",
            (
                "data.training: must give 24 pictures in every epoch, as in the first, got 23 in "
                "epoch 2"
            ),
        ),
        (
            "failing",
            (
                "data.training.factory: 'data:failing' must give its samples without an error, got "
                "KeyError: 'hub' (data.py:26)"
            ),
        ),
        (
            "dying",
            "data.training: the process that draws epoch 2 must come to its end, got exit code 7",
        ),
    ],
)
def test_a_fault_of_a_later_epoch_is_told_from_the_process_that_draws_it(
    project, train, factory, message
):
    old = 'training   = { factory = "data:pictures" }'
    new = f'training = {{ factory = "data:{factory}", per_epoch = true }}'
    recipe = project({old: new, "batch         = 8": "batch = 6"}, train="workers = 1")
    with pytest.raises(DataError, match=r"^data\.training") as fault:
        train(recipe)
    assert str(fault.value) == message
