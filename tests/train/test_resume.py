"""A training that is ended at any step, and goes on, comes to the same weights."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from edgeprep.interfaces import FileStage
from edgeprep.stages.chain import Chain
from edgeprep.tasks.classify import Classify
from edgeprep.train import made_from
from edgeprep.train.checkpoint import read_checkpoint
from edgeprep.train.files import CHECKPOINT
from edgeprep.train.preparation import Preparation

# Workers are forks. Where other tests have loaded jax, it warns of them; no worker touches it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

LABELS = ("red", "green", "blue")
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
    ("replaced", "settings"),
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
    project, train, storage, tmp_path, replaced, settings, stop
):
    recipe = project(replaced, train=settings)
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
    ("replaced", "settings", "what"),
    [
        ({}, "label_smoothing = 0.1", "settings (train.label_smoothing 0.0 -> 0.1)"),
        ({"seed = 5": "seed = 6"}, "", "data"),
        ({"size = [8, 8]": "size = [9, 9]"}, "", "data"),
        (
            {'"model:build"': '"model:Net"\narguments = { classes = 3 }'},
            "seed = 4",
            "settings (train.seed 0 -> 4) and weights",
        ),
    ],
    ids=["settings", "pictures", "preprocessing", "weights"],
)
def test_a_training_of_something_else_is_begun_anew_and_says_so(
    project, train, told, storage, replaced, settings, what
):
    train(project())
    recipe = project(replaced, train=settings)
    again = train(recipe, progress=told)
    assert ("begin anew", f"what was kept was made from other {what}") in told.steps
    assert len(again.history) == 3


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("torch.nn.ReLU()", "torch.nn.Tanh()", "network and code beside the recipe"),
        ("Dropout(0.2)", "Dropout(0.3)", "network and code beside the recipe"),
        (".mean((2, 3))", ".amax((2, 3))", "code beside the recipe"),
    ],
    ids=["another layer", "another dropout", "another way through"],
)
def test_another_network_with_the_same_weights_is_begun_anew(project, train, told, old, new, what):
    recipe = project()
    train(recipe)
    model = recipe.directory / "model.py"
    assert old in model.read_text()
    model.write_text(model.read_text().replace(old, new))
    again = train(recipe, progress=told)
    assert ("begin anew", f"what was kept was made from other {what}") in told.steps
    assert len(again.history) == 3


def test_another_task_is_another_training(project, opened, train, told):
    recipe = project()
    train(recipe)
    sigmoid = replace(opened(recipe), task=Classify(labels=LABELS, scores="sigmoid"))
    train(recipe, data=sigmoid, progress=told)
    assert ("begin anew", "what was kept was made from other task") in told.steps


def test_frames_at_another_rate_are_other_data(project, train, told):
    train(project())
    train(project({"[data]": "[data]\nfps = 5"}), progress=told)
    assert ("begin anew", "what was kept was made from other data") in told.steps


def test_another_torch_comes_to_other_weights(project, train, told, monkeypatch):
    train(project())
    monkeypatch.setattr(torch, "__version__", "2.0.0")
    made_from._of_program.cache_clear()
    train(project(), progress=told)
    made_from._of_program.cache_clear()
    what = "versions of torch and edgeprep"
    assert ("begin anew", f"what was kept was made from other {what}") in told.steps


@dataclass(frozen=True)
class Table(FileStage):
    """A stage that reads a file, which a recipe names."""

    name: ClassVar[str] = "table"
    file: ClassVar[str] = "path"

    path: str

    @property
    def content(self):
        return Path(self.path).read_bytes()

    def opened(self, content, registry):
        return self

    def output(self, image):
        return image

    def apply(self, F, x, image):
        return x


def test_the_content_of_a_stages_file_is_a_part_of_the_data(opened, project, tmp_path):
    data = opened(project())
    path = tmp_path / "table.bin"
    found = []
    for content in (b"one", b"one", b"other"):
        path.write_bytes(content)
        host = Chain(input=data.plain.host.input, stages=(Table(str(path)),))
        plain = Preparation(host=host, graph=data.plain.graph)
        found.append(made_from._of_data(replace(data, plain=plain)))
    assert found[0] == found[1] != found[2]


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
