"""What a combiner learns: where the slope of what it makes small is zero."""

import re

import numpy as np
import pytest

from edgeprep.combine import Terms
from edgeprep.combine.stack import Stack, evidence
from edgeprep.ensembles.learn import learn
from edgeprep.errors import DataError
from edgeprep.truths import Classes

LABELS = ("a", "b", "c")


def answers_of(classes, *, samples=60, members=2, seed=0):
    """Scores of members that are right more often than not, and the truth."""
    rng = np.random.default_rng(seed)
    truths = [index % classes for index in range(samples)]
    answers = []
    for _ in range(members):
        logits = rng.normal(0, 1.5, (samples, classes)) + 1.5 * np.eye(classes)[truths]
        powers = np.exp(logits)
        answers.append([(row,) for row in powers / powers.sum(axis=1, keepdims=True)])
    return answers, truths


def inputs_of(answers, kind):
    return np.stack([evidence(sample, kind) for sample in zip(*answers, strict=True)])


@pytest.mark.parametrize("penalty", [1.0, 20.0])
def test_of_several_classes_no_weight_is_better_changed(penalty):
    answers, truths = answers_of(3)
    learnt = learn(Stack(penalty=penalty), "class", answers, truths, LABELS)
    weights, bias = learnt["weights"].astype(float), learnt["bias"].astype(float)
    assert (weights.shape, bias.shape) == ((3, 6), (3,))
    inputs = inputs_of(answers, "class")
    logits = inputs @ weights.T + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = powers / powers.sum(axis=1, keepdims=True) - np.eye(3)[truths]
    # By the cross entropy of all samples, and half the squares of the weights by the penalty.
    np.testing.assert_allclose(errors.T @ inputs + penalty * weights, 0, atol=1e-3)
    np.testing.assert_allclose(errors.sum(axis=0), 0, atol=1e-3)


def test_of_two_classes_the_first_is_what_is_left():
    answers, truths = answers_of(2)
    learnt = learn(Stack(), "class", answers, truths, ("no", "yes"))
    weights, bias = learnt["weights"].astype(float), learnt["bias"].astype(float)
    assert (weights[0] == 0).all()
    assert bias[0] == 0
    inputs = inputs_of(answers, "class")
    errors = 1 / (1 + np.exp(-(inputs @ weights[1] + bias[1]))) - truths
    np.testing.assert_allclose(errors @ inputs + weights[1], 0, atol=1e-3)


def test_classes_for_themselves_are_learnt_each_by_itself():
    rng = np.random.default_rng(3)
    present = rng.random((80, 3)) < 0.5
    logits = rng.normal(0, 1, (2, 80, 3)) + 2.0 * present - 1.0
    scores = 1 / (1 + np.exp(-logits))
    answers = [[(row, row >= 0.5) for row in member] for member in scores]
    learnt = learn(Stack(), "classes", answers, [Classes(row) for row in present], LABELS)
    weights, bias = learnt["weights"].astype(float), learnt["bias"].astype(float)
    assert (weights.shape, bias.shape) == ((3, 2), (3,))
    inputs = inputs_of(answers, "classes")
    found = 1 / (1 + np.exp(-((inputs * weights).sum(axis=2) + bias)))
    slope = np.einsum("sc,scm->cm", found - present, inputs) + weights
    np.testing.assert_allclose(slope, 0, atol=1e-3)


def test_who_knows_more_is_trusted_more():
    answers, truths = answers_of(3, samples=600, members=1)
    rng = np.random.default_rng(1)
    guesses = [(row,) for row in rng.dirichlet(np.ones(3), len(truths))]
    learnt = learn(Stack(), "class", [*answers, guesses], truths, LABELS)
    own = [np.abs(learnt["weights"][:, first : first + 3]).sum() for first in (0, 3)]
    assert own[0] > 2 * own[1]
    terms = Terms(kind="class", weights=np.ones(2), learnt=learnt)
    joined = [
        int(Stack().join(pair, terms)[0].argmax()) for pair in zip(answers[0], guesses, strict=True)
    ]
    alone = [int(scores.argmax()) for (scores,) in answers[0]]
    right = [sum(a == b for a, b in zip(each, truths, strict=True)) for each in (joined, alone)]
    assert right[0] >= right[1]


@pytest.mark.parametrize(
    ("kind", "truths", "message"),
    [
        (
            "class",
            [0, 2] * 30,
            "data.training: must have pictures of each of the 3 classes, got none for 'b'",
        ),
        (
            "classes",
            [Classes(np.array([True, False, index > 5])) for index in range(60)],
            "data.training: must have pictures with each of the 3 classes, got none for 'b'",
        ),
        (
            "classes",
            [Classes(np.array([True, index > 5, index > 5])) for index in range(60)],
            "data.training: must have pictures without each of the 3 classes, got none for 'a'",
        ),
    ],
    ids=["one of several", "with", "without"],
)
def test_data_without_a_class_teach_nothing(kind, truths, message):
    answers, _ = answers_of(3)
    pairs = [[(scores, scores > 0.5) for (scores,) in member] for member in answers]
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        learn(Stack(), kind, pairs, truths, LABELS)
