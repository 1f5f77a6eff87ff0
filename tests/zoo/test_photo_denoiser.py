"""The zoo's denoiser: what it is worth, on pictures of any size, and in front of a classifier."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from skimage.metrics import peak_signal_noise_ratio

import edgeprep
from edgeprep.conversion import convert
from edgeprep.data import load_factory
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.runtime.session import Session
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.stages.resize import Resize
from edgeprep.train import load_network

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ZOO = Path(__file__).resolve().parents[2] / "model_zoo"
MODEL, CLASSIFIER = ZOO / "photo-denoiser", ZOO / "digits-mobilenet"

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe's ONNX in float, held to a few of its pictures."""
    directory = tmp_path_factory.mktemp("zoo")
    for name in (MODEL.name, CLASSIFIER.name):
        shutil.copytree(ZOO / name, directory / name)
    text = (MODEL / "recipe.toml").read_text()
    head, _, _ = text.partition("[[target]]")
    head = head.replace('"data:evaluation" }', '"data:evaluation", limit = 4 }')
    recipe = directory / MODEL.name / "short.toml"
    recipe.write_text(f'{head}[[target]]\nformat = "onnx"\nprecision = ["fp32"]\n')
    convert(recipe, directory / "denoiser.edgeprep")
    return directory / "denoiser.edgeprep"


@pytest.fixture
def session(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path))
    with edgeprep.open(bundle, probe=False) as session:
        yield session


def samples(name: str, first: int, **keys: Any) -> list[tuple[Picture, Picture]]:
    drawn: Any = load_factory(f"data:{name}", MODEL, "data")(**keys)
    return list(islice(drawn, first))


def decibels(pairs: list[tuple[Picture, Picture]]) -> float:
    return float(np.mean([peak_signal_noise_ratio(*pair, data_range=255) for pair in pairs]))


def test_weights_are_float32_and_below_300_kilobytes() -> None:
    path = MODEL / "weights.safetensors"
    assert path.stat().st_size <= 300_000
    with safe_open(path, "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert types == {"F32"}


def test_it_is_worth_more_than_the_noise_and_than_non_local_means() -> None:
    network = load_network(load_recipe(MODEL / "recipe.toml").model, MODEL)
    held_out = samples("evaluation", 40)
    denoised, means = [], []
    for noisy, clean in held_out:
        with torch.inference_mode():
            given = torch.from_numpy(noisy[None].astype(np.float32) / 255).movedim(-1, 1)
            found = network(given)[0].movedim(0, -1).numpy()
        denoised.append((clean, np.floor(found * 255 + 0.5).astype(np.uint8)))
        # The kind, window and strength that compare.py finds best on training photographs.
        means.append((clean, np.asarray(cv2.fastNlMeansDenoising(noisy, None, 23, 3, 21))))
    assert decibels(denoised) >= decibels([(clean, noisy) for noisy, clean in held_out]) + 3
    assert decibels(denoised) > decibels(means)


def test_what_it_is_compared_with_is_tuned_on_other_pictures() -> None:
    compare: Any = load_factory("compare:compare", MODEL, "compare")
    found = compare(pieces=1, held_out=4)
    noisy, tuned, network = found.values()
    assert [*found][1].startswith("non-local means")
    pairs = [(clean, noisy) for noisy, clean in samples("evaluation", 4)]
    assert noisy == pytest.approx(decibels(pairs))
    assert noisy + 3 < tuned < network


def test_noise_has_25_levels() -> None:
    # Where levels are cut at black and white there is less.
    middle = [(a - b.astype(float))[(b > 90) & (b < 165)] for a, b in samples("evaluation", 40)]
    assert np.concatenate(middle).std() == pytest.approx(25, rel=0.01)


def test_pictures_depend_on_the_seed_and_the_epoch_alone() -> None:
    first, again, second = (samples("training", 3, epoch=epoch) for epoch in (0, 0, 1))
    assert all(
        np.array_equal(a, b)
        for one, two in zip(first, again, strict=True)
        for a, b in zip(one, two)  # noqa: B905
    )
    drawn = [*first, *second, *samples("calibration", 3), *samples("validation", 3)]
    assert len({noisy.tobytes() for noisy, _ in drawn}) == 12


def test_a_photograph_of_any_size_loses_its_noise_without_a_seam(session: Session) -> None:
    data: Any = load_factory("data:noisy", MODEL, "data")
    photograph: Any = load_factory("data:photograph", CLASSIFIER, "data")
    clean = np.asarray(photograph("chelsea.png"))[:300, :451]
    noisy, _ = data(clean, np.random.default_rng(0))
    result = session(noisy).picture
    assert result.shape == (300, 451, 3)
    assert decibels([(clean, result)]) >= decibels([(clean, noisy)]) + 3
    # Moved by half a tile, so that tiles meet elsewhere.
    other = session(noisy[40:, 40:]).picture
    inner = result[40:, 40:].astype(float) - other
    assert np.abs(inner[24:-24, 24:-24]).max() <= 1


def test_a_classifier_can_stand_behind_it(bundle: Path, session: Session) -> None:
    tables = [
        {"use": "resize", "size": [128, 128]},
        {"use": "model", "bundle": str(bundle)},
        {"use": "resize", "size": [64, 64]},
    ]
    recipe = load_recipe(CLASSIFIER / "recipe.toml")
    tables += [dict(table) for table in recipe.preprocess if table["use"] == "normalize"]
    chain = Chain.build(
        tables,
        input=recipe.input.image,
        registry=default_registry(),
        files=lambda name: Path(name).read_bytes(),
    )
    host, graph = chain.cut("host")
    model = torch.nn.Sequential(ChainModule(graph), load_network(recipe.model, CLASSIFIER)).eval()
    small = Chain(input=chain.input, stages=(Resize(size=(64, 64)),))
    pictures: Any = load_factory("data:pictures", CLASSIFIER, "data")
    noisy: Any = load_factory("data:noisy", MODEL, "data")
    generator = np.random.default_rng(0)
    right = []
    for picture, label in pictures("held-out", seed=5, count=20, size=(128, 128)):
        grainy, _ = noisy(picture, generator)
        prepared = host.prepare(grainy)
        # The stage hands on what the network gives before it is rounded.
        wanted = small.prepare(session(grainy).picture)
        assert np.abs(prepared.astype(int) - wanted).max() <= 1
        with torch.inference_mode():
            right.append(int(model(torch.from_numpy(prepared)).argmax()) == label)
    chain.close()
    assert np.mean(right) >= 0.9
