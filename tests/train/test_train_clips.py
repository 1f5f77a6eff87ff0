"""Networks that remember, and networks of clips, learn what one picture does not show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeprep.data import Prepared
from edgeprep.errors import DataError, RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.tensors import ImageSpec, TensorSpec
from edgeprep.train import Augment, train_recipe
from edgeprep.train.outputs import trace_outputs
from edgeprep.train.scoring import answers
from edgeprep.train.unroll import through, unrolled
from edgeprep.train.variation import Variation

MODEL = """
import torch


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(3, 6, 1)
        self.gru = torch.nn.GRUCell(6, 8)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, pictures, hidden):
        hidden = self.gru(self.features(pictures).mean((2, 3)), hidden)
        return self.head(hidden), hidden


class OfClips(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(9, 3)

    def forward(self, clips):
        return self.head(clips.mean((3, 4)).flatten(1))


def recurrent():
    return Recurrent()


def of_clips():
    return OfClips()
"""
DATA = """
import numpy as np


def clips(count=48, seed=0, uneven=False):
    # The class is the brightest channel of the FIRST frame; the last one shows nothing of it.
    rng = np.random.default_rng(seed)
    for index in range(count):
        length = 3 + (uneven and index % 2)
        clip = rng.integers(0, 120, (length, 6, 6, 3), dtype=np.uint8)
        clip[0, ..., index % 3] += 100
        yield clip, index % 3


def drawn(epoch):
    return clips(seed=epoch)


def pictures():
    for clip, label in clips():
        yield clip[-1], label
"""
RECIPE = """
name = "film"
[model]
factory = "model:{network}"
{states}
[task]
use = "video-classify"
labels = ["red", "green", "blue"]
[input]
size = [6, 6]
{input}
{augment}
[[preprocess]]
use = "normalize"
mean = [0.25, 0.25, 0.25]
std = [0.2, 0.2, 0.2]
[data]
training = {{ {training} }}
validation = {{ factory = "data:clips", arguments = {{ seed = 77 }} }}
evaluation = {{ factory = "data:clips", arguments = {{ seed = 78 }} }}
[train]
epochs = 16
batch = 12
learning_rate = 0.03
"""
STATE = '[[model.state]]\nname = "hidden"\nshape = [1, 8]\n'
RECURRENT = {"network": "recurrent", "states": STATE, "input": ""}
OF_CLIPS = {"network": "of_clips", "states": "", "input": "frames = 3"}
STILL = 'factory = "data:clips"'
DRAWN = 'factory = "data:drawn", per_epoch = true'
FLIP = '[[augment]]\nuse = "random-flip"\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)

    def write(parts: dict[str, str], training: str = STILL, augment: str = "") -> Path:
        text = RECIPE.format(**parts, training=training, augment=augment)
        (tmp_path / "recipe.toml").write_text(text)
        return tmp_path / "recipe.toml"

    return write


@pytest.mark.parametrize("training", [STILL, DRAWN], ids=["still", "drawn"])
@pytest.mark.parametrize("augment", ["", FLIP], ids=["plain", "varied"])
@pytest.mark.parametrize("parts", [RECURRENT, OF_CLIPS], ids=["recurrent", "clips"])
def test_what_the_last_picture_does_not_show_is_learned(
    parts: dict[str, str], augment: str, training: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    trained = train_recipe(
        write(parts, training, augment), tmp_path / "out", registry=Registry(installed=False)
    )
    assert trained is not None
    # By chance 0.33.
    assert trained.evaluation is not None
    assert trained.evaluation >= 0.95


def test_a_clip_is_gone_through_frame_by_frame() -> None:
    cell = torch.nn.GRUCell(3, 4)

    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
            state = cell(x, state)
            return state.sum(1), state

    clips = torch.randn(2, 5, 3)
    whole = unrolled(Network(), [TensorSpec(name="h", shape=(1, 4), dtype="float32")])
    (found,) = whole(clips)
    state = torch.zeros(2, 4)
    for index in range(5):
        state = cell(clips[:, index], state)
    assert torch.equal(found, state.sum(1))
    found.sum().backward()
    # The first frame has its share in what is learned.
    assert all(bool(p.grad.abs().sum() > 0) for p in cell.parameters() if p.grad is not None)


def test_every_frame_goes_through_the_preprocessing() -> None:
    clips = torch.arange(2 * 3 * 4 * 5 * 3, dtype=torch.uint8).reshape(2, 3, 4, 5, 3)

    class Layout(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            assert pictures.shape == (6, 4, 5, 3)
            return pictures.permute(0, 3, 1, 2).float()

    found = through(Layout(), clips)
    assert torch.equal(found[1, 2], clips[1, 2].permute(2, 0, 1).float())


def test_all_frames_of_a_clip_vary_alike() -> None:
    image = ImageSpec(height=2, width=3)
    augment = Augment((RandomFlip(),), seed=0, input=image)
    vary = Variation(augment=augment, host=Chain(input=image, stages=()), where="data.training")
    clip = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)
    turned = []
    for index in range(8):
        row, _ = vary(clip, index)
        assert row.shape == (1, *clip.shape)
        flipped = [bool((got != came).any()) for got, came in zip(row[0], clip, strict=True)]
        assert len(set(flipped)) == 1
        turned += flipped[:1]
    assert set(turned) == {True, False}


def test_clips_of_any_length_are_scored(write: Callable[..., Path], tmp_path: Path) -> None:
    recipe = write(RECURRENT)
    text = recipe.read_text().replace("epochs = 16", "epochs = 2")
    for seed in ("seed = 77", "seed = 78"):
        text = text.replace(seed, f"{seed}, uneven = true")
    recipe.write_text(text)
    trained = train_recipe(recipe, tmp_path / "out", registry=Registry(installed=False))
    assert trained is not None
    assert trained.evaluation is not None


def test_answers_to_clips_of_any_length_are_in_their_order() -> None:
    clips = [np.full((frames, 1, 1, 3), frames, np.uint8) for frames in (2, 2, 2, 5, 5, 3, 2)]
    samples = Prepared(
        inputs=np.concatenate(clips),
        labels=(None,) * 7,
        skipped=(),
        starts=(0, 2, 4, 6, 11, 16, 19),
    )

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))
            self.taken: list[int] = []

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            self.taken.append(len(clips))
            return clips.mean((1, 2, 3, 4))

    network = Network()
    (found,) = answers(network, torch.nn.Identity(), samples, (0, 1, 2, 3, 4, 5, 6), 2)
    assert found.tolist() == [2, 2, 2, 5, 5, 3, 2]
    assert network.taken == [2, 1, 2, 1, 1]


PARTS = pytest.mark.parametrize(
    ("training", "augment"), [(STILL, ""), (STILL, FLIP), (DRAWN, ""), (DRAWN, FLIP)]
)


@PARTS
def test_clips_are_as_long_as_networks_take_them(
    training: str, augment: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    parts = {**OF_CLIPS, "input": "frames = 2"}
    recipe = write(parts, training, augment)
    model = tmp_path / "model.py"
    model.write_text(model.read_text().replace("Linear(9, 3)", "Linear(6, 3)"))
    lines = recipe.read_text().splitlines(keepends=True)
    recipe.write_text("".join(line for line in lines if "seed = 7" not in line))
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        train_recipe(recipe, tmp_path / "out")
    assert str(caught.value) == "data.training: sample 0 must have 2 frames, got 3"


@PARTS
def test_pictures_are_no_clips_whatever_becomes_of_them(
    training: str, augment: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    single = training.replace("data:clips", "data:pictures").replace("data:drawn", "data:single")
    recipe = write(RECURRENT, single, augment)
    data = tmp_path / "data.py"
    data.write_text(data.read_text() + "\n\ndef single(epoch):\n    return pictures()\n")
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        train_recipe(recipe, tmp_path / "out")
    assert str(caught.value) == (
        "data.training: must have clips (frames, height, width, 3 or 1), for a network that "
        "remembers, got single pictures"
    )


@pytest.mark.parametrize("augment", ["", FLIP], ids=["plain", "varied"])
def test_clips_of_one_batch_are_of_one_length(
    augment: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    uneven = f"{STILL}, arguments = {{ uneven = true }}"
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        train_recipe(write(RECURRENT, uneven, augment), tmp_path / "out")
    assert str(caught.value) == (
        "data.training: clips of one batch must have the same number of frames, got 3 and 4; "
        "let the reader cut them, or set train.batch = 1"
    )


@pytest.mark.parametrize("taken", ["hidden", "next_hidden"])
def test_a_state_has_no_name_of_an_output(taken: str) -> None:
    class Named(torch.nn.Module):
        def forward(self, x: torch.Tensor, state: torch.Tensor) -> dict[str, torch.Tensor]:
            return {taken: x.mean((1, 2, 3)), "new": state}

    picture = TensorSpec(name="preprocessed", shape=(1, 3, 2, 2), dtype="float32")
    hidden = TensorSpec(name="hidden", shape=(1, 4), dtype="float32")
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole message
        trace_outputs(Named(), picture, (hidden,))
    assert str(caught.value) == (
        f"model.state[0].name: must leave {taken!r} to the output that the network calls so, "
        "got 'hidden'"
    )


@pytest.mark.parametrize(
    ("parts", "training", "kind", "message"),
    [
        (
            RECURRENT,
            'factory = "data:pictures"',
            DataError,
            (
                "data.training: must have clips (frames, height, width, 3 or 1), for a network "
                "that remembers, got single pictures"
            ),
        ),
        (
            {**RECURRENT, "states": ""},
            STILL,
            RecipeError,
            (
                "task.use: task 'video-classify' needs a network that sees several pictures, got "
                "neither input.frames nor model.state; set input.frames for one that takes clips, "
                "or model.state for one that remembers"
            ),
        ),
    ],
    ids=["pictures", "one picture"],
)
def test_what_shows_nothing_of_a_film_is_refused(
    parts: dict[str, str],
    training: str,
    kind: Any,
    message: str,
    write: Callable[..., Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(kind) as caught:
        train_recipe(write(parts, training), tmp_path / "out")
    assert str(caught.value) == message
