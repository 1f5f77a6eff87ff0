"""The zoo's detector: what it finds on held-out pictures, and what it is taught."""

import shutil
from collections import Counter
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from pycocotools import mask
from safetensors.torch import load_file

import edgeprep
from edgeprep.conversion import convert
from edgeprep.data import load_factory, load_module
from edgeprep.metrics.boxes import AP50
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry import default_registry
from edgeprep.runtime.frames import Frames
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tasks.detect import Detect, Detections
from edgeprep.train import load_network
from edgeprep.truths import Boxes

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ZOO = Path(__file__).resolve().parents[2] / "model_zoo"
MODEL, DIGITS = ZOO / "digits-detector", ZOO / "digits-mobilenet"

Sample = tuple[NDArray[np.uint8], dict[str, list[Any]]]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(MODEL / "recipe.toml")


def drawn(name: str, count: int, **keys: Any) -> list[Sample]:
    samples: Any = load_factory(f"data:{name}", MODEL, "data")(**keys)
    return list(islice(samples, count))


def test_it_has_less_than_half_a_million_parameters_in_float32(recipe: Recipe) -> None:
    network = load_network(recipe.model, MODEL)
    assert sum(parameter.numel() for parameter in network.parameters()) <= 500_000
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_boxes_and_scores_of_each_grid_are_outputs_of_their_own(recipe: Recipe) -> None:
    network = load_network(recipe.model, MODEL)
    shapes = [tuple(output.shape) for output in network(torch.zeros(1, 3, 96, 96))]
    assert shapes == [(1, 4, 12, 12), (1, 4, 6, 6), (1, 10, 12, 12), (1, 10, 6, 6)]


def test_held_out_digits_on_held_out_photographs_are_found(recipe: Recipe) -> None:
    options = {name: value for name, value in recipe.task.items() if name != "use"}
    task = build(Detect, options, "task")
    chain = Chain.of_recipe(recipe, default_registry())
    host, graph = chain.cut("split")
    frames = Frames.for_task(task, chain)
    assert frames is not None
    model = torch.nn.Sequential(ChainModule(graph), load_network(recipe.model, MODEL)).eval()
    found, there = [], []
    for picture, truth in drawn("evaluation", 200):
        with torch.inference_mode():
            outputs = model(torch.from_numpy(host.prepare(picture)))
        given = tuple(output.numpy() for output in outputs)
        found.append(task.decode(given, frames.of(picture)))
        there.append(Boxes.of(truth["boxes"], truth["classes"]))
    assert AP50.score(found, there) >= 0.90


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe's ONNX, held to a few of its pictures."""
    directory = tmp_path_factory.mktemp("zoo")
    for name in (MODEL.name, DIGITS.name):
        shutil.copytree(ZOO / name, directory / name)
    text = (MODEL / "recipe.toml").read_text()
    head, _, _ = text.partition("[[target]]")
    head = head.replace('"data:evaluation" }', '"data:evaluation", limit = 100 }')
    targets = '[[target]]\nformat = "onnx"\nprecision = ["fp32", "int8"]\n'
    budget = '[budget]\nmetric = "ap50"\nmax_drop = 0.01\n'
    recipe = directory / MODEL.name / "short.toml"
    recipe.write_text(f"{head}{targets}{budget}")
    # A variant that loses more is an error.
    convert(recipe, directory / "detector.edgeprep")
    return directory / "detector.edgeprep"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_digits_are_found_where_they_are_in_the_picture_that_came_in(
    bundle: Path, precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path))
    right = total = 0
    with edgeprep.open(bundle, prefer=precision, probe=False) as session:
        for picture, truth in drawn("evaluation", 30):
            found = session(picture)
            total += len(truth["classes"])
            right += sum(
                is_found(found, box, label)
                for box, label in zip(truth["boxes"], truth["classes"], strict=True)
            )
    assert right >= 0.85 * total > 60


def is_found(found: Detections, box: tuple[int, ...], label: int) -> bool:
    """Whether that object is among those that are more likely than not."""
    sure = (found.scores >= 0.4) & (found.classes == label)
    return any(overlap(box, other) >= 0.5 for other in found.boxes[sure])


def overlap(one: ArrayLike, other: ArrayLike) -> float:
    """Intersection over union of two boxes, by the reference implementation of COCO."""
    ours, theirs = (np.array([[x, y, x1 - x, y1 - y]], float) for x, y, x1, y1 in (one, other))  # type: ignore[misc]
    return float(mask.iou(ours, theirs, [0])[0, 0])


def test_boxes_are_around_what_can_be_seen_and_do_not_meet() -> None:
    data: Any = load_factory("data:draw", MODEL, "data")
    place: Any = load_factory("data:place", MODEL, "data")
    generator, others = np.random.default_rng(0), []
    picture = np.full((96, 128, 3), 128, np.uint8)
    for _ in range(4):
        opacity, _ = data("held-out", generator, 96)
        before = picture.copy()
        box = place(picture, opacity, others, generator)
        if box is None:
            assert np.array_equal(before, picture)
            continue
        others.append(box)
        rows, columns = (np.flatnonzero((picture != before).any((axis, 2))) for axis in (1, 0))
        changed = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        # Where the digit is hardly opaque, its colour may be lost in rounding.
        assert np.abs(np.subtract(box, changed)).max() <= 1
    assert len(others) > 1
    assert not any(overlap(one, other) for one, other in combinations(others, 2))


def test_pictures_have_digits_of_all_classes_and_many_sizes() -> None:
    samples = drawn("evaluation", 200)
    counts = Counter(label for _, truth in samples for label in truth["classes"])
    assert sorted(counts) == list(range(10))
    assert min(counts.values()) >= 20
    assert {len(truth["classes"]) for _, truth in samples} == {1, 2, 3, 4, 5}
    heights = [box[3] - box[1] for _, truth in samples for box in truth["boxes"]]
    assert max(heights) > 3 * min(heights)


def test_pictures_depend_on_the_seed_and_the_epoch_alone() -> None:
    first, again, second = (drawn("training", 3, epoch=epoch) for epoch in (0, 0, 1))
    for (one, truth), (other, same) in zip(first, again, strict=True):
        assert np.array_equal(one, other)
        assert truth == same
    others = [*first, *second, *drawn("calibration", 3), *drawn("evaluation", 3)]
    assert len({picture.tobytes() for picture, _ in others}) == 12


def test_what_is_held_out_is_held_out_for_both_models() -> None:
    data: Any = load_module("data", MODEL, "data")
    assert data.digits is load_module("data", DIGITS, "data")


def test_what_digits_mobilenet_has_learned_of_edges_is_kept(recipe: Recipe) -> None:
    known = load_file(DIGITS / "weights.safetensors")
    learned = load_file(MODEL / "weights.safetensors")
    started: Any = load_factory("model:build", MODEL, "model")()
    for name, value in started.features.state_dict().items():
        assert torch.equal(value, known[f"features.{name}"])
    kept = [
        name for name in known if name.startswith(tuple(f"{one}." for one in recipe.train.freeze))
    ]
    assert len(kept) > 20
    assert all(torch.equal(known[name], learned[name]) for name in kept)
