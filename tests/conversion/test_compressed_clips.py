"""Networks that remember, and networks of clips, are compressed like any other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeprep.bundle import Bundle, open_bundle
from edgeprep.conversion import convert
from edgeprep.conversion.coverage import collect_coverage
from edgeprep.data import load_factory
from edgeprep.errors import BudgetError, RecipeError
from edgeprep.recipe import load_recipe

MODEL = """
import torch
from torch import nn


class Recurrent(nn.Module):
    # What it answers depends on the first frame, which only its state can tell at the last.
    def __init__(self, hidden=8):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1))
        self.gru = nn.GRUCell(8, hidden)
        self.look = nn.Linear(hidden, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, pictures, hidden):
        hidden = self.gru(self.features(pictures).mean((2, 3)), hidden)
        return self.head(self.look(hidden).relu()), hidden


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 16, 1)
        self.new = nn.Conv2d(24, 8, 1)
        self.look = nn.Conv2d(8, 16, 1)
        self.head = nn.Linear(16, 3)

    def forward(self, pictures, hidden):
        seen = self.features(pictures).relu()
        hidden = 0.5 * hidden + 0.5 * self.new(torch.cat((hidden, seen), 1)).tanh()
        return self.head(self.look(hidden).relu().mean((2, 3))), hidden


class Keeps(nn.Module):
    # Right by construction: the state is what the first frame shows, ever after.
    def forward(self, pictures, kept):
        kept = torch.where(kept == 0, pictures.mean((2, 3)), kept)
        return 5 * kept, kept


class Hostile(nn.Module):
    # As `Keeps`; but between two layers the channels are a factor of 30,000 apart, and one scale
    # for all of them leaves nothing of the narrow ones.
    def __init__(self):
        super().__init__()
        scales = torch.tensor([1.0, 173.0, 30000.0])
        self.layers = nn.Sequential(*(nn.Conv2d(3, 3, 1, bias=False) for _ in range(5)))
        for layer in self.layers:
            layer.weight.data = torch.eye(3)[:, :, None, None]
        self.layers[1].weight.data *= scales[:, None, None, None]
        self.layers[2].weight.data /= scales[:, None, None, None]
        self.head = nn.Linear(3, 3)
        self.head.weight.data, self.head.bias.data = 5 * torch.eye(3), torch.zeros(3)

    def forward(self, pictures, kept):
        kept = torch.where(kept == 0, self.layers(pictures).mean((2, 3)), kept)
        return self.head(kept), kept


class First(nn.Module):
    def forward(self, clips):
        return 5 * clips[:, 0].mean((2, 3))


class OfClips(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(3, 16, (3, 1, 1)), nn.BatchNorm3d(16), nn.ReLU(), nn.Conv3d(16, 16, 1)
        )
        self.head = nn.Linear(16, 3)

    def forward(self, clips):
        return self.head(self.features(clips.transpose(1, 2)).mean((2, 3, 4)))


def recurrent(hidden=8):
    torch.manual_seed(0)
    return Recurrent(hidden)


def gated():
    torch.manual_seed(0)
    return Gated()


def keeps():
    return Keeps()


def hostile():
    return Hostile()


def first():
    return First()


def of_clips():
    torch.manual_seed(0)
    return OfClips()
"""
DATA = """
import numpy as np


def clips(count=48, seed=0, frames=3):
    # The class is the brightest channel of the FIRST frame; the last one shows nothing of it.
    rng = np.random.default_rng(seed)
    for index in range(count):
        clip = rng.integers(0, 120, (frames, 6, 6, 3), dtype=np.uint8)
        clip[0, ..., index % 3] += 100
        yield clip, index % 3
"""
RECIPE = """
name = "film"
[model]
factory = "model:{factory}"
{states}
[task]
use = "video-classify"
labels = ["red", "green", "blue"]
[input]
size = [6, 6]
{input}
[[preprocess]]
use = "normalize"
mean = [0.25, 0.25, 0.25]
std = [0.2, 0.2, 0.2]
[data]
training = {{ factory = "data:clips" }}
validation = {{ factory = "data:clips", arguments = {{ seed = 77 }} }}
calibration = {{ factory = "data:clips", arguments = {{ seed = 76, count = 9 }} }}
evaluation = {{ factory = "data:clips", arguments = {{ seed = 78, count = 12 }} }}
[train]
epochs = 2
batch = 12
learning_rate = 0.03
threads = 1
[[target]]
format = "onnx"
precision = ["fp32", "int8"]
[budget]
metric = "accuracy"
max_drop = 1.0
{more}
"""
STATE = '[[model.state]]\nname = "hidden"\nshape = {}\n'
NETWORKS = {
    "recurrent": {"factory": "recurrent", "states": STATE.format("[1, 8]"), "input": ""},
    "gated": {"factory": "gated", "states": STATE.format("[1, 8, 6, 6]"), "input": ""},
    "clips": {"factory": "of_clips", "states": "", "input": "frames = 3"},
    "keeps": {"factory": "keeps", "states": STATE.format("[1, 3]"), "input": ""},
    "hostile": {"factory": "hostile", "states": STATE.format("[1, 3]"), "input": ""},
    "first": {"factory": "first", "states": "", "input": "frames = 3"},
}
PRUNE = 'use = "prune"\nratio = 0.5\nround_to = 2\nepochs = 1'
TAYLOR = 'use = "prune"\nratio = 0.5\nround_to = 2\nimportance = "taylor"'
SPARSIFY = 'use = "sparsify"\nratio = 0.5\nepochs = 1'
AWARE = 'use = "quantization-aware"\nepochs = 2'

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)

    def write(network: str, *passes: str, more: str = "", name: str = "recipe.toml") -> Path:
        tables = "\n".join(f"[[compress]]\n{table}" for table in passes)
        text = RECIPE.format(**NETWORKS[network], more=f"{more}\n{tables}")
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def converted(recipe: Path, told: list[str] | None = None) -> Bundle:
    @contextmanager
    def progress(title: str) -> Iterator[Callable[[str], None]]:
        yield lambda outcome: None if told is None else told.append(f"{title}: {outcome}")

    path = recipe.with_suffix(".edgeprep")
    convert(recipe, path, overwrite=True, progress=progress)
    return open_bundle(path)


def float_model(bundle: Bundle) -> bytes:
    (name,) = bundle.variant("onnx-fp32").files
    return bundle.member(name)


@pytest.mark.parametrize(
    ("network", "table"),
    [
        ("recurrent", PRUNE),
        ("recurrent", AWARE),
        ("gated", TAYLOR),
        ("gated", SPARSIFY),
        ("gated", AWARE),
        ("clips", PRUNE),
        ("clips", AWARE),
    ],
)
def test_each_pass_ends_in_variants_that_keep_their_states_and_go_through_films(
    network: str, table: str, write: Write
) -> None:
    bundle = converted(write(network, table))
    shapes = {"recurrent": [(1, 8)], "gated": [(1, 8, 6, 6)], "clips": []}[network]
    for variant in bundle.manifest.variants:
        assert [state.shape for state in variant.states] == shapes
        assert [each.shape for each in variant.outputs] == [(1, 3), *shapes]
        if shapes:
            # At the ends of whole films, with its own states: the gate is 1e-4 in float.
            assert variant.parity.clips is not None
            assert variant.parity.clips <= (1e-4 if variant.precision == "fp32" else 0.6)
    assert bundle.manifest.variants[0].parity.relative <= 1e-4


def test_channels_of_states_stay_by_name_and_others_go(write: Write) -> None:
    told: list[str] = []
    converted(write("gated", TAYLOR), told)
    assert (
        "prune: find groups of channels: 2 of 3 groups; 'new' stays: 'hidden' is remembered with "
        "them, whose shape the recipe says"
    ) in told
    # Of 16, 8 channels stay before and behind the state: 3·8+8, (8+8)·8+8, 8·8+8 and 8·3+3.
    assert "prune: step 1 of 1: 459 → 267 parameters" in told


def test_what_is_ended_between_epochs_goes_on_to_the_same_network(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Ended(BaseException):
        pass

    @contextmanager
    def ending(title: str) -> Iterator[Callable[[str], None]]:
        if title == "epoch 2 of 2":
            raise Ended("here")
        yield lambda _outcome: None

    recipe = write("gated", AWARE)
    with pytest.raises(Ended, match=r"^here$"):
        convert(recipe, tmp_path / "never.edgeprep", progress=ending)
    told: list[str] = []
    resumed = converted(recipe, told)
    assert not any(line.startswith("epoch 1 of 2") for line in told)
    again = converted(recipe, told)
    assert any(line.startswith("quantization-aware: kept from before") for line in told)
    assert float_model(again) == float_model(resumed)
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "other"))
    assert float_model(converted(recipe)) == float_model(resumed)


def test_the_budget_repairs_a_network_that_remembers_by_fine_tuning(write: Write) -> None:
    recipe = write("hostile", more='repair = ["fine-tune", "keep-float"]')
    text = recipe.read_text().replace("max_drop = 1.0", "max_drop = 0.02")
    # What would have to learn may not: layers in float are needed beside it.
    recipe.write_text(text.replace("epochs = 2", 'epochs = 2\nfreeze = ["layers"]'))
    variant = converted(recipe).variant("onnx-int8")
    assert variant.fine_tuned
    assert {*variant.keep_float} == {"layers.1", "layers.2"}
    assert variant.parity.clips is not None
    assert variant.parity.clips <= 0.6
    assert variant.metric is not None
    assert variant.metric.value == 1.0


TEACHERS = {
    "factory with states": (
        'teacher = { factory = "model:keeps", state = [{ name = "kept", shape = [1, 3] }] }'
    ),
    "factory of clips": 'teacher = { factory = "model:first", state = [] }',
    "recipe with states": 'teacher = "keeps.toml"',
    "recipe of clips": 'teacher = "first.toml"',
    "bundle with states": 'teacher = "keeps.edgeprep"',
    "bundle of clips": 'teacher = "first.edgeprep"',
}


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        *(("gated", teacher) for teacher in TEACHERS),
        ("clips", "factory with states"),
        ("clips", "recipe with states"),
    ],
)
def test_what_only_whole_films_show_is_taught_between_networks_with_other_states_or_none(
    student: str, teacher: str, write: Write
) -> None:
    for name in ("keeps", "first"):
        wise = write(name, name=f"{name}.toml")
        # Another preprocessing, so that it looks at the pictures themselves.
        text = wise.read_text().replace("std = [0.2, 0.2, 0.2]", "std = [0.3, 0.3, 0.3]")
        wise.write_text(text.replace('["fp32", "int8"]', '["fp32"]'))
        if "bundle" in teacher and name in TEACHERS[teacher]:
            converted(wise)
    table = f'use = "distil"\nepochs = 10\nweight = 1.0\n{TEACHERS[teacher]}'
    told: list[str] = []
    recipe = write(student, table)
    recipe.write_text(recipe.read_text().replace('["fp32", "int8"]', '["fp32"]'))
    bundle = converted(recipe, told)
    # By chance, and from last frames, 0.33.
    assert "score the teacher: accuracy 1.0000 on data.validation" in told
    metric = bundle.variant("onnx-fp32").metric
    assert metric is not None
    assert metric.value >= 0.9


def test_hints_are_of_what_modules_give_at_the_ends_of_films(write: Write, tmp_path: Path) -> None:
    # The teacher is what the student is as well: what there is to learn are the hints.
    table = (
        'use = "distil"\nepochs = 1\nweight = 1.0\nlearning_rate = 1e-9\n'
        'teacher = { factory = "model:recurrent", state = [{ name = "hidden", shape = [1, 8] }] }\n'
        'hints = [{ student = "look", teacher = "look" }]'
    )
    recipe = write("recurrent", table)
    # All films in one step, so that its loss is that of what nothing was learned by.
    recipe.write_text(recipe.read_text().replace("batch = 12", "batch = 48"))
    told: list[str] = []
    with pytest.raises(BudgetError, match=r"^budget: the network must know more than one answer"):
        converted(recipe, told)
    films = [clip for clip, _ in load_factory("data:clips", tmp_path, "data")()]
    frames = torch.from_numpy((np.stack(films, 1) / 255 - 0.25) / 0.2).float()
    network = load_factory("model:recurrent", tmp_path, "model")().eval()
    hidden = torch.zeros(len(films), 8)
    for each in frames.permute(0, 1, 4, 2, 3):
        _, hidden = network(each, hidden)
    torch.manual_seed(0)
    adapter, seen = torch.nn.Linear(16, 16), network.look(hidden)
    wanted = (adapter(seen) - seen).square().mean().item()
    (line,) = (line for line in told if line.startswith("epoch 1 of 1: loss "))
    assert float(line.split()[5].rstrip(",")) == pytest.approx(wanted, abs=1e-4)


def test_a_teacher_of_other_clips_is_refused_before_anything_is_learned(write: Write) -> None:
    other = write("first", name="other.toml")
    other.write_text(other.read_text().replace("frames = 3", "frames = 5"))
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole message
        converted(write("gated", 'use = "distil"\nteacher = "other.toml"'))
    assert str(caught.value) == (
        "compress[0].teacher: recipe 'film': must get 5 frames, as it takes at once, got 3"
    )


@pytest.mark.parametrize("target", ["onnx", "openvino", "tflite"])
def test_evaluation_films_are_in_the_coverage_of_ranges_with_the_states_of_the_source(
    target: str, write: Write, tmp_path: Path
) -> None:
    recipe = write("gated")
    recipe.write_text(recipe.read_text().replace('format = "onnx"', f'format = "{target}"'))
    (found,) = collect_coverage(load_recipe(recipe)).values()
    ranges = [(one.evaluation.low, one.evaluation.high) for one in found if one.evaluation]
    films = [clip for clip, _ in load_factory("data:clips", tmp_path, "data")(seed=78, count=12)]
    seen = (np.stack(films) / 255 - 0.25) / 0.2
    # TFLite turns to integers before the scale, where pixels are whole anyway.
    taken = (0, np.max(films)) if target == "tflite" else (seen.min(), seen.max())
    assert any(one == pytest.approx(taken, rel=1e-4) for one in ranges)
    network = load_factory("model:gated", tmp_path, "model")().eval()
    states = []
    with torch.no_grad():
        for film in torch.from_numpy(seen).float().permute(0, 1, 4, 2, 3):
            hidden = torch.zeros(1, 8, 6, 6)
            for frame in film:
                states.append(hidden)
                _, hidden = network(frame[None], hidden)
    low, high = (float(end) for end in torch.stack(states).aminmax())
    assert any(one == pytest.approx((low, high), rel=1e-4) for one in ranges)
