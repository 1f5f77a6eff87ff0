"""A training that is ended at any step, and goes on, comes to the same weights."""

import pytest
import torch

from edgeprep.train.checkpoint import read_checkpoint
from edgeprep.train.files import CHECKPOINT

# Workers are forks. Where other tests have loaded jax, it warns of them; no worker touches it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

STEPS = 3  # of an epoch: 24 pictures in batches of 8
AUGMENT = '[[augment]]\nuse = "random-noise"\nsigma = 9\n\n[data]'


class Stop(Exception):
    pass


def stopping_after(steps):
    left = steps

    def watch(tick):
        nonlocal left
        left -= 1
        if not left:
            raise Stop("killed")

    return watch


def same(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(
    ("replace", "settings"),
    [
        ({}, 'optimizer = "sgd"\nnesterov = true\nclip_norm = 0.5'),
        ({}, 'ema = 0.8\nschedule = "one-cycle"\nlabel_smoothing = 0.1'),
        ({}, 'optimizer = "adam"\nfreeze = ["features"]\nprecision = "bf16-mixed"'),
        ({"[data]": AUGMENT}, "workers = 1"),
        ({'"data:pictures" }': '"data:pictures", per_epoch = true }'}, "workers = 1"),
    ],
    ids=["sgd", "average", "half precision, frozen", "augmented", "drawn anew"],
)
@pytest.mark.parametrize("stop", [1, STEPS + 1], ids="after step {}".format)
def test_a_training_that_was_ended_comes_to_the_same_weights(
    project, train, storage, tmp_path, replace, settings, stop
):
    recipe = project(replace, train=settings)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    straight = train(recipe, storage=elsewhere)
    with pytest.raises(Stop, match="killed"):
        train(recipe, watch=stopping_after(stop))
    resumed = train(recipe)
    assert same(straight.network, resumed.network)
    assert [row.loss for row in resumed.history] == [row.loss for row in straight.history]
    files = [read_checkpoint(path / CHECKPOINT) for path in (elsewhere, storage)]
    for name, value in files[0].tensors.items():
        assert torch.equal(value, files[1].tensors[name])


def test_a_long_epoch_is_kept_by_time_and_goes_on_in_its_middle(project, train, tmp_path):
    recipe = project(train="save_minutes = 1e-9\nema = 0.9")
    with pytest.raises(Stop, match="killed"):
        train(recipe, watch=stopping_after(STEPS + 2))
    steps = []
    resumed = train(recipe, watch=lambda tick: steps.append((tick.epoch, tick.step)))
    # The kill came before the second step of the second epoch was kept.
    assert steps[0] == (2, 2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    straight = train(recipe, storage=elsewhere)
    assert same(straight.network, resumed.network)
    assert resumed.history[1].loss == straight.history[1].loss


def test_a_finished_training_is_not_begun_again(project, train):
    first = train(project())
    second = train(project(), watch=stopping_after(1))
    assert same(first.network, second.network)
    assert second.history == first.history


def test_two_trainings_of_one_seed_are_the_same_and_of_another_not(project, train, tmp_path):
    networks = []
    for index, seed in enumerate((1, 1, 2)):
        path = tmp_path / str(index)
        path.mkdir()
        networks.append(train(project(train=f"seed = {seed}"), storage=path).network)
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])


@pytest.mark.parametrize(
    ("replace", "settings", "what"),
    [
        ({}, "label_smoothing = 0.1", "settings"),
        ({"seed = 5": "seed = 6"}, "", "data"),
        ({"size = [8, 8]": "size = [9, 9]"}, "", "data"),
        (
            {'"model:build"': '"model:Net"\narguments = { classes = 3 }'},
            "seed = 4",
            "settings and weights",
        ),
    ],
    ids=["settings", "pictures", "preprocessing", "weights"],
)
def test_a_training_of_something_else_is_begun_anew_and_says_so(
    project, train, told, storage, replace, settings, what
):
    train(project())
    recipe = project(replace, train=settings)
    again = train(recipe, progress=told)
    assert ("begin anew", f"what was kept was made from other {what}") in told.steps
    assert len(again.history) == 3


def test_settings_that_change_no_result_do_not_begin_anew(project, train):
    train(project())
    recipe = project(train="workers = 1\nsave_minutes = 1.0\nthreads = 2")
    assert len(train(recipe, watch=stopping_after(1)).history) == 3


def test_what_a_kill_left_half_written_goes(project, train, storage):
    (storage / ".edgeprep-0123456789abcdef.tmp").write_bytes(b"half")
    (storage / "notes.tmp").write_text("mine")
    train(project())
    names = {"notes.tmp", "checkpoint.safetensors", "weights.safetensors"}
    assert {path.name for path in storage.iterdir()} == {*names, "metrics.csv", "metrics.jsonl"}


def test_a_training_goes_on_with_the_threads_with_which_it_began(project, train, storage):
    with pytest.raises(Stop, match="killed"):
        train(project(train="threads = 2"), watch=stopping_after(1))
    train(project())
    assert read_checkpoint(storage / CHECKPOINT).state["threads"] == 2
