"""The zoo's recurrent network: what it is worth, in three formats, and that it has to remember."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import convert
from edgeprep.data import load_factory
from edgeprep.runtime import Session
from edgeprep.zoo import find_model

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ZOO = Path(__file__).resolve().parents[2] / "model_zoo"
MODEL = ZOO / "moving-digits"
LABELS = ("left", "right", "up", "down", "still")
OTHER = {"left": "right", "right": "left", "up": "down", "down": "up", "still": "still"}
FILMS = 60

Clip = NDArray[np.uint8]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All formats, held to a few of the films: too few for the budget, which counts hundredths."""
    directory = tmp_path_factory.mktemp("zoo")
    for name in (MODEL.name, "digits-mobilenet"):
        shutil.copytree(ZOO / name, directory / name)
    recipe = directory / MODEL.name / "recipe.toml"
    text = recipe.read_text()
    short = text.replace('"data:evaluation" }', f'"data:evaluation", limit = {FILMS} }}')
    assert short != text
    recipe.write_text(short.partition("[budget]")[0])
    convert(recipe, directory / "moving.edgeprep")
    return directory / "moving.edgeprep"


@pytest.fixture(scope="module")
def films() -> list[tuple[Clip, int]]:
    """Held-out digits over held-out photographs."""
    evaluation: Any = load_factory("data:evaluation", MODEL, "data.evaluation")
    return list(islice(evaluation(), FILMS))


@pytest.fixture
def session(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path))
    with edgeprep.open(bundle, prefer="onnx-fp32", probe=False) as session:
        yield session


def said(session: Session, film: Clip) -> str:
    """What is said after the last frame."""
    *_, last = session.stream(film)
    return str(last.label)


def share(session: Session, films: list[tuple[Clip, str]]) -> float:
    return float(np.mean([said(session, film) == label for film, label in films]))


def test_the_card_has_the_figure_that_was_asked_for() -> None:
    accuracy = find_model(MODEL).card.number("accuracy")
    assert accuracy is not None
    assert accuracy >= 0.95


def test_every_variant_tells_them_apart_as_well(bundle: Path) -> None:
    manifest = open_bundle(bundle).manifest
    names = [variant.name for variant in manifest.variants]
    assert names == [
        f"{name}-{precision}"
        for name in ("onnx", "openvino", "tflite")
        for precision in ("fp32", "int8")
    ]
    for variant in manifest.variants:
        assert variant.metric is not None
        # One film is 0.017 of them; on all 300, none of the six loses more than 0.007.
        assert variant.metric.drop <= 0.034


def test_films_are_told_apart(session: Session, films: list[tuple[Clip, int]]) -> None:
    assert share(session, [(film, LABELS[label]) for film, label in films]) >= 0.9


def test_a_film_that_runs_backwards_goes_the_other_way(
    session: Session, films: list[tuple[Clip, int]]
) -> None:
    backwards = [(film[::-1], OTHER[LABELS[label]]) for film, label in films]
    assert share(session, backwards) >= 0.9


def test_one_frame_does_not_tell(session: Session, films: list[tuple[Clip, int]]) -> None:
    # By chance 0.2; the same frame again and again is a film in which nothing moves.
    alone = [(film[-1:], LABELS[label]) for film, label in films]
    still = [(film[-1:].repeat(8, 0), LABELS[label]) for film, label in films]
    assert share(session, alone) <= 0.4
    assert share(session, still) <= 0.4


def test_in_one_frame_all_places_are_as_likely_whatever_the_direction() -> None:
    film: Any = load_factory("data:film", MODEL, "data")
    dot = np.zeros((8, 8), np.uint8)
    dot[2:6, 2:6] = 255
    # With the same draws of everything else, frames of other directions have it elsewhere; over
    # many draws, no quarter of the frame has more of it than others, at the end of the film.
    for label in (0, 1):
        places = []
        for seed in range(300):
            ways = (np.full(7, label), np.full(7, 4))
            last, still = (
                film("held-out", dot, way, np.random.default_rng(seed)).astype(int) for way in ways
            )
            moved = np.abs(last[-1] - last[0]).sum(2)
            assert still.shape == last.shape
            places.append(moved.argmax() % last.shape[2] / last.shape[2])
        counts, _ = np.histogram(places, bins=4, range=(0, 1))
        # 75 in each; five standard deviations of 7.5.
        assert np.abs(counts - 75).max() <= 37


def test_a_stream_follows_digits_that_turn_round(
    session: Session, films: list[tuple[Clip, int]]
) -> None:
    # A network that was taught films of one direction alone follows one of four.
    turned = [(np.concatenate((film, film[::-1])), OTHER[LABELS[label]]) for film, label in films]
    assert share(session, turned) >= 0.9
