"""Ensembles of the zoo's networks, in float and on several engines."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.conversion import convert
from edgeprep.ensembles import EnsembleResult, ensemble, evaluate_ensemble
from edgeprep.recipe import (
    EnsembleData,
    EnsembleRecipe,
    MemberTable,
    TargetTable,
    load_recipe,
)
from edgeprep.runtime.ensemble_session import EnsembleSession
from edgeprep.tasks.classify import Classification, Classify

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Pictures = list[tuple[NDArray[np.uint8], int]]
Join = Callable[..., EnsembleResult]

ZOO = Path(__file__).parents[2] / "model_zoo"
NO_SCORES = Classify(labels=tuple("0123456789"), scores="none")
DIGITS = {"use": "classify", "labels": [str(digit) for digit in range(10)]}


def evaluation(limit: int) -> Mapping[str, object]:
    """So many of the zoo's pictures, of 1000 in all."""
    return {"factory": "data:evaluation", "limit": limit}


def float_bundle(name: str, directory: Path, *formats: str) -> Path:
    """A network of the zoo in float, checked on few samples."""
    recipe = load_recipe(ZOO / name / "recipe.toml")
    few = replace(recipe.data, evaluation=evaluation(16))
    target = tuple(TargetTable(format=one, precision=("fp32",)) for one in formats)
    output = directory / f"{name}.edgeprep"
    convert(replace(recipe, target=target, data=few, budget=None), output)
    return output


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two networks of one task, each in another format."""
    directory = tmp_path_factory.mktemp("members")
    return {
        "mobilenet": float_bundle("digits-mobilenet", directory, "openvino"),
        "resnet": float_bundle("digits-resnet", directory, "onnx"),
    }


@pytest.fixture(scope="module")
def join(members: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Join:
    """Makes an ensemble of both, once, scored on a part of the zoo's evaluation data."""
    directory = tmp_path_factory.mktemp("ensembles")
    made: dict[str, EnsembleResult] = {}

    def make(use: str, limit: int, training: Mapping[str, object] | None = None) -> EnsembleResult:
        if use in made:
            return made[use]
        recipe = EnsembleRecipe(
            name=f"digits-{use}",
            member=tuple(MemberTable(bundle=str(path)) for path in members.values()),
            combine={"use": use},
            task=DIGITS,
            data=EnsembleData(training=training, evaluation=evaluation(limit)),
            directory=ZOO / "digits-mobilenet",
        )
        made[use] = ensemble(recipe, directory / f"{use}.edgeprep")
        return made[use]

    return make


def accuracies(result: EnsembleResult) -> list[float]:
    """Of the ensemble, and of its members."""
    assert result.evaluation is not None
    return [score.values["accuracy"] for score in result.evaluation.scores]


def test_the_mean_of_two_networks_is_as_good_as_the_better_one(join: Join) -> None:
    whole, *others = accuracies(join("average", 300))
    assert min(others) > 0.97
    assert whole >= max(others)


def test_what_is_learnt_of_two_networks_looks_at_both(join: Join, pictures: Pictures) -> None:
    # Of pictures like those that both have learnt from, of which they are too sure.
    made = join("stack", 100, {"factory": "data:calibration"})
    whole, *others = accuracies(made)
    assert whole >= min(others)
    with edgeprep.open(made.bundle, probe=False) as session:
        assert isinstance(session, EnsembleSession)
        results = [[one(picture) for one in session.members] for picture, _ in pictures]
        for results_of, (_, label) in zip(results, pictures, strict=True):
            # No copy of one member: with the scores of either turned over it is less sure.
            sure = session.join(results_of).scores[label]
            for index in range(2):
                turned = list(results_of)
                turned[index] = Classification(NO_SCORES, turned[index].scores[::-1])
                assert session.join(turned).scores[label] < sure - 0.01


def test_members_on_two_engines_share_their_preprocessing_and_are_joined(
    join: Join, members: Mapping[str, Path], pictures: Pictures
) -> None:
    bundle = join("average", 300).bundle
    alone = []
    for path in members.values():
        with edgeprep.open(path, probe=False) as session:
            alone.append([session(picture).scores for picture, _ in pictures])
    with edgeprep.open(bundle, probe=False) as session:
        assert isinstance(session, EnsembleSession)
        backends = [member.choice.backend for member in session.members]
        assert backends == ["openvino", "onnxruntime"]
        explained = session.explain()
        found = [session(picture).scores for picture, _ in pictures]
    assert "member[1], weight 1, takes what member[0] has prepared" in explained
    # To the rounding of float32 in engines.
    np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=1e-6)


def test_what_is_chosen_here_scores_nearly_what_it_scored_when_it_was_made(join: Join) -> None:
    made = join("vote", 100)
    recipe = EnsembleRecipe(
        name="digits-vote",
        member=(MemberTable(bundle="a"), MemberTable(bundle="b")),
        combine={"use": "vote"},
        task=DIGITS,
        data=EnsembleData(evaluation=evaluation(100)),
        directory=ZOO / "digits-mobilenet",
    )
    again = evaluate_ensemble(made.bundle, recipe)
    assert made.evaluation is not None
    for one, other in zip(again.scores, made.evaluation.scores, strict=True):
        # bf16 and OpenCV's rounding, which may be chosen, move a sample or two of 100.
        assert one.values["accuracy"] == pytest.approx(other.values["accuracy"], abs=0.021)
    assert all(score.timing.median_ms > 0 for score in again.scores)


def test_boxes_of_a_detector_in_two_formats_are_where_each_has_them(tmp_path: Path) -> None:
    path = float_bundle("digits-detector", tmp_path, "onnx", "openvino")
    table = load_recipe(ZOO / "digits-detector" / "recipe.toml").task
    recipe = EnsembleRecipe(
        name="two-formats",
        member=tuple(MemberTable(bundle=str(path), prefer=one) for one in ("onnx", "openvino")),
        combine={"use": "boxes"},
        task={"use": "detect", "labels": table["labels"], "least_score": 0.3},
        data=EnsembleData(evaluation=evaluation(30)),
        directory=ZOO / "digits-detector",
    )
    made = ensemble(recipe, tmp_path / "two.edgeprep")
    assert made.evaluation is not None
    whole, *others = (score.values["map"] for score in made.evaluation.scores)
    # Both formats find the same; what is joined is nothing but their boxes that overlap anyway.
    assert whole >= max(others) - 0.005
    assert whole > 0.5
