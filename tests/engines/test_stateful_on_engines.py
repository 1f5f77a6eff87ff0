"""A recurrent network and a network of clips: converted, and answering what numpy computes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import convert, evaluate, evaluate_source
from edgeprep.data import load_factory
from edgeprep.errors import DataError, ParityError, RecipeError
from edgeprep.recipe import load_recipe

FORMATS = ("onnx", "openvino", "tflite")
FRAMES = 4
MODEL = """
import torch


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(3, 4, 1)
        self.gru = torch.nn.GRUCell(4, 5)
        self.lstm = torch.nn.LSTMCell(5, 3)
        self.head = torch.nn.Linear(3, 3)
        known(self)

    def forward(self, picture, hidden, short, long):
        hidden = self.gru(self.features(picture).mean((2, 3)), hidden)
        short, long = self.lstm(hidden, (short, long))
        return self.head(short), hidden, short, long


class OfClips(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.over_time = torch.nn.Conv3d(3, 4, (2, 1, 1))
        self.head = torch.nn.Linear(4, 3)
        known(self)

    def forward(self, clips):
        assert clips.shape[1:] == (4, 3, 8, 8)
        seen = torch.relu(self.over_time(clips.transpose(1, 2)))
        return self.head(seen.mean((2, 3, 4)))


def known(module):
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.8


def recurrent():
    return Recurrent()


def of_clips():
    return OfClips()
"""
DATA = """
import numpy as np


def clips(count=12, frames=None):
    generator = np.random.default_rng(1)
    for index in range(count):
        length = frames or 2 + index % 4
        colors = generator.integers(0, 256, (length, 1, 1, 3))
        noise = generator.normal(0, 10, (length, 8, 8, 3))
        yield np.clip(colors + noise, 0, 255).astype(np.uint8), index % 3


def pictures():
    for clip, label in clips():
        yield clip[0], label
"""
RECIPE = """
name = "film"

[model]
factory = "model:{network}"
{states}

[task]
use    = "video-classify"
labels = ["a", "b", "c"]
{task}
[input]
size = [8, 8]
{input}

[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]

[data]
calibration = {{ factory = "data:{data}", arguments = {{ {arguments} }} }}
evaluation  = {{ factory = "data:{data}", arguments = {{ {arguments} }} }}

{targets}
{more}
"""
STATES = """
[[model.state]]
name  = "hidden"
shape = [1, 5]
[[model.state]]
name  = "short"
shape = [1, 3]
[[model.state]]
name  = "long"
shape = [1, 3]
"""
TARGETS = "".join(
    f'[[target]]\nformat = "{name}"\nprecision = ["fp32", "int8"]\n' for name in FORMATS
)


def write(directory: Path, **parts: str) -> Path:
    filled = {
        "network": "recurrent",
        "states": STATES,
        "input": "",
        "task": "",
        "data": "clips",
        "arguments": "",
        "targets": TARGETS,
        "more": "",
    }
    (directory / "model.py").write_text(MODEL)
    (directory / "data.py").write_text(DATA)
    (directory / "recipe.toml").write_text(RECIPE.format(**filled | parts))
    return directory / "recipe.toml"


CLIPS = {
    "network": "of_clips",
    "states": "",
    "input": f"frames = {FRAMES}",
    "arguments": f"frames = {FRAMES}",
}


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recurrent")
    convert(write(directory), directory / "film.edgeprep")
    return directory


@pytest.fixture(scope="module")
def of_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clips")
    convert(write(directory, **CLIPS), directory / "film.edgeprep")
    return directory


def films(directory: Path) -> Iterator[NDArray[np.uint8]]:
    for clip, _ in made(directory, "data:clips")(frames=FRAMES):
        yield clip


def weights(directory: Path, name: str) -> dict[str, NDArray[np.float64]]:
    network = made(directory, f"model:{name}")()
    return {key: value.double().numpy() for key, value in network.state_dict().items()}


def made(directory: Path, factory: str) -> Any:
    return load_factory(factory, directory, "factory")


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def normalized(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    return (clip / 255 - 0.5) / 0.25


def by_hand(clip: NDArray[np.uint8], w: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The recurrent network in numpy, by the equations of torch's documentation: each frame."""
    hidden, short, long = np.zeros(5), np.zeros(3), np.zeros(3)
    answers = []
    for frame in normalized(clip):
        x = w["features.weight"][:, :, 0, 0] @ frame.mean((0, 1)) + w["features.bias"]
        given = w["gru.weight_ih"] @ x + w["gru.bias_ih"]
        before = w["gru.weight_hh"] @ hidden + w["gru.bias_hh"]
        reset, update = sigmoid(given[:5] + before[:5]), sigmoid(given[5:10] + before[5:10])
        new = np.tanh(given[10:] + reset * before[10:])
        hidden = (1 - update) * new + update * hidden
        gates = w["lstm.weight_ih"] @ hidden + w["lstm.bias_ih"]
        gates = gates + w["lstm.weight_hh"] @ short + w["lstm.bias_hh"]
        inside, forget, cell, outside = gates[:3], gates[3:6], gates[6:9], gates[9:]
        long = sigmoid(forget) * long + sigmoid(inside) * np.tanh(cell)
        short = sigmoid(outside) * np.tanh(long)
        answers.append(w["head.weight"] @ short + w["head.bias"])
    return np.stack(answers)


def over_time(clip: NDArray[np.uint8], w: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The network of clips in numpy."""
    x = normalized(clip)
    kernel = w["over_time.weight"][:, :, :, 0, 0]
    seen = x[:-1] @ kernel[:, :, 0].T + x[1:] @ kernel[:, :, 1].T + w["over_time.bias"]
    return w["head.weight"] @ np.maximum(seen, 0).mean((0, 1, 2)) + w["head.bias"]


def scores(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_stream_answers_what_numpy_computes(format_: str, recurrent: Path) -> None:
    known = weights(recurrent, "recurrent")
    path = recurrent / "film.edgeprep"
    with edgeprep.open(path, prefer=f"{format_}-fp32", probe=False) as session:
        for clip in films(recurrent):
            found = np.stack([result.scores for result in session.stream(clip)])
            # Sums of float32 in another order.
            np.testing.assert_allclose(found, scores(by_hand(clip, known)), atol=1e-5)


@pytest.mark.parametrize("format_", FORMATS)
def test_int8_remembers_nearly_the_same(format_: str, recurrent: Path) -> None:
    known = weights(recurrent, "recurrent")
    path = recurrent / "film.edgeprep"
    with edgeprep.open(path, prefer=f"{format_}-int8", probe=False) as session:
        for clip in films(recurrent):
            *_, last = session.stream(clip)
            # 256 steps a value, in four frames after each other; another network is off by 0.4.
            np.testing.assert_allclose(last.scores, scores(by_hand(clip, known))[-1], atol=0.1)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_session_of_clips_answers_what_numpy_computes(format_: str, of_clips: Path) -> None:
    known = weights(of_clips, "of_clips")
    path = of_clips / "film.edgeprep"
    with edgeprep.open(path, prefer=f"{format_}-fp32", probe=False) as session:
        for clip in films(of_clips):
            wanted = scores(over_time(clip, known))
            np.testing.assert_allclose(session(clip).scores, wanted, atol=1e-5)
            *early, last = session.stream(clip)
            assert early == [None] * (FRAMES - 1)
            np.testing.assert_allclose(last.scores, wanted, atol=1e-5)


def test_the_bundle_says_what_is_remembered(recurrent: Path) -> None:
    manifest = open_bundle(recurrent / "film.edgeprep").manifest
    for variant in manifest.variants:
        assert [(one.name, one.shape) for one in variant.states] == [
            ("hidden", (1, 5)),
            ("short", (1, 3)),
            ("long", (1, 3)),
        ]
        names = [one.name for one in variant.outputs]
        assert names == ["output", "next_hidden", "next_short", "next_long"]
        # At the end of whole clips, by the variant's own states.
        assert variant.parity.clips is not None
        assert variant.parity.clips <= (1e-4 if variant.precision == "fp32" else 0.5)


def test_golden_samples_are_of_the_middle_of_films_too(recurrent: Path) -> None:
    bundle = open_bundle(recurrent / "film.edgeprep")
    hidden = bundle.golden(bundle.manifest.variants[0]).states[0]
    assert not hidden[0].any()  # the first frame of a film
    assert hidden.any(axis=1).sum() > 2


def test_a_bundle_is_scored_on_whole_clips(recurrent: Path) -> None:
    recipe = load_recipe(recurrent / "recipe.toml")
    source = evaluate_source(recipe).scores[0].values["accuracy"]
    known = weights(recurrent, "recurrent")
    samples = made(recurrent, "data:clips")()
    right = [by_hand(clip, known)[-1].argmax() == label for clip, label in samples]
    assert source == np.mean(right)
    found = evaluate(recurrent / "film.edgeprep", recipe, prefer="onnx-fp32")
    assert [score.values["accuracy"] for score in found.scores] == [source]


@pytest.mark.parametrize(
    ("parts", "kind", "message"),
    [
        (
            {"data": "pictures"},
            DataError,
            (
                "data.calibration: must have clips (frames, height, width, 3 or 1), for a network "
                "that remembers, got single pictures"
            ),
        ),
        (
            CLIPS | {"data": "pictures", "arguments": ""},
            DataError,
            (
                "data.calibration: must have clips (frames, height, width, 3 or 1), for a network "
                "of 4 frames, got single pictures"
            ),
        ),
        (
            CLIPS | {"arguments": "frames = 5"},
            DataError,
            "data.calibration: sample 0 must have 4 frames, got 5",
        ),
        (
            {"states": ""},
            RecipeError,
            (
                "task.use: task 'video-classify' needs a network that sees several pictures, got "
                "neither input.frames nor model.state; set input.frames for one that takes clips, "
                "or model.state for one that remembers"
            ),
        ),
        (
            {"input": "frames = 4"},
            RecipeError,
            "input.frames: must be 1 where the network has states, and takes frame by frame, got 4",
        ),
        (
            {"states": STATES.replace("[1, 5]", "[1, 4]")},
            RecipeError,
            (
                "model.factory: the network must take float32 (1, 3, 8, 8), which is what the "
                "preprocessing gives, and hidden (1, 4), and short (1, 3), and long (1, 3), got"
            ),
        ),
        (
            {"states": STATES.partition('[[model.state]]\nname  = "long"')[0]},
            RecipeError,
            (
                "model.factory: the network must take float32 (1, 3, 8, 8), which is what the "
                "preprocessing gives, and hidden (1, 5), and short (1, 3), got"
            ),
        ),
    ],
    ids=[
        "pictures",
        "pictures for clips",
        "longer clips",
        "no states",
        "both",
        "shape",
        "missing",
    ],
)
def test_what_does_not_fit_together_is_refused(
    parts: dict[str, str], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        convert(write(tmp_path, **parts), tmp_path / "film.edgeprep")
    assert str(caught.value).startswith(message)


def test_a_variant_that_drifts_apart_is_refused(
    recurrent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeprep.conversion.parity import measure_clips
    from edgeprep.interfaces import Runner
    from edgeprep.tasks.tensors import Tensors

    class Forgetting(Runner):
        inputs = outputs = ()

        def run(self, inputs: Any) -> Any:
            return np.ones((1, 3), np.float32), np.zeros((1, 5), np.float32)

        def close(self) -> None:
            pass

    states = open_bundle(recurrent / "film.edgeprep").manifest.variants[0].states[:1]
    clip = next(films(recurrent))
    with pytest.raises(ParityError) as caught:  # noqa: PT011 -- whole message
        measure_clips(
            "x", Forgetting(), "fp32", [(clip, (np.full((1, 3), 2.0),))], states, Tensors()
        )
    assert str(caught.value) == (
        "x: must agree with the source within 1e-04 of its largest output at the end of a clip of "
        "4 frames, got 5.00e-01; what is off in each frame adds up in the states: keep the layers "
        "that make them in float, with target.keep_float"
    )
