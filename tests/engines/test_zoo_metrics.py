"""One model of the zoo, scored in torch, in every variant and on every backend."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from edgeprep.conversion import Evaluation, Result, evaluate
from edgeprep.data import load_factory
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives

ZOO = Path(__file__).parents[2] / "model_zoo" / "digits-mobilenet"
SAMPLES = 100
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}


@pytest.fixture(scope="module")
def evaluation(result: Result) -> Evaluation:
    recipe = load_recipe(ZOO / "recipe.toml")
    return evaluate(result.bundle, recipe, metrics="all", with_source=True, limit=SAMPLES)


def values(evaluation: Evaluation, variant: str) -> dict[str, float]:
    (score,) = (score for score in evaluation.scores if score.candidate.variant == variant)
    return dict(score.values)


def test_the_source_is_scored_as_scikit_learn_scores_its_logits(evaluation: Evaluation) -> None:
    build: Any = load_factory("model:build", ZOO, "model.factory")
    data: Any = load_factory("data:evaluation", ZOO, "data.evaluation")
    network: Any = build(classes=10, width=1.5).eval()
    network.load_state_dict(load_file(ZOO / "weights.safetensors"))
    chain = Chain.of_recipe(load_recipe(ZOO / "recipe.toml"), default_registry())
    host, graph = chain.cut("split")
    pictures, labels = zip(*islice(data(), SAMPLES), strict=True)
    taken = [graph.apply(NumpyPrimitives(), host.prepare(picture)) for picture in pictures]
    with torch.inference_mode():
        shares = network(torch.from_numpy(np.concatenate(taken))).softmax(1).double().numpy()
    indices = shares.argmax(axis=1)
    source = values(evaluation, "source")
    assert source["accuracy"] == accuracy_score(labels, indices)
    assert source["f1-macro"] == pytest.approx(f1_score(labels, indices, average="macro"))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = roc_auc_score(labels, shares, multi_class="ovr")
    assert source["roc-auc"] == pytest.approx(expected, abs=1e-9)
    assert 0.9 < source["accuracy"] < 1.0


@pytest.mark.parametrize(("format_", "backend"), ENGINES.items())
def test_float_variants_have_the_numbers_of_the_source(
    evaluation: Evaluation, format_: str, backend: str
) -> None:
    (score,) = (s for s in evaluation.scores if s.candidate.variant == f"{format_}-fp32")
    source = values(evaluation, "source")
    assert score.candidate.backend == backend
    assert len(source) == 10
    assert set(score.values) == set(source)
    # Engines sum in other orders: scores differ by 1e-6, and no class or order of samples does.
    for name, value in source.items():
        assert score.values[name] == pytest.approx(value, abs=1e-5), name
        assert score.drops[name] == pytest.approx(0.0, abs=1e-5), name
    np.testing.assert_array_equal(score.confusion, evaluation.scores[0].confusion)


@pytest.mark.parametrize("format_", ENGINES)
def test_int8_variants_stay_within_their_drop(evaluation: Evaluation, format_: str) -> None:
    int8, source = values(evaluation, f"{format_}-int8"), values(evaluation, "source")
    # The recipe allows 0.01 on all samples; of these 100, one more may change sides.
    for name, value in source.items():
        assert abs(int8[name] - value) <= 0.03, name
    assert int8 != source
