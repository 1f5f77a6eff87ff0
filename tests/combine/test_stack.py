"""What a taught combiner makes of scores, by hand."""

import numpy as np
import pytest

from edgeprep.combine import Terms
from edgeprep.combine.stack import Stack, evidence


def test_scores_are_seen_by_their_logarithms():
    answers = [(np.array([1.0, 0.0]),), (np.array([0.5, 0.5]),)]
    seen = evidence(answers, "class")
    np.testing.assert_allclose(seen, [0.0, np.log(1e-6), np.log(0.5), np.log(0.5)])


def test_of_classes_for_themselves_each_member_has_a_logit():
    answers = [(np.array([0.5, 1.0]), None), (np.array([0.75, 0.0]), None)]
    seen = evidence(answers, "classes")
    most = np.log((1 - 1e-6) / 1e-6)
    np.testing.assert_allclose(seen, [[0.0, np.log(3.0)], [most, -most]], rtol=1e-9)


def test_one_of_several_classes_is_a_softmax_of_what_was_learnt():
    # The first member counts twice, the second not at all, and the second class has a head start.
    weights = np.array([[2, 0, 0, 0], [0, 2, 0, 0]], np.float32)
    learnt = {"weights": weights, "bias": np.array([0.0, np.log(2.0)], np.float32)}
    answers = [(np.array([0.8, 0.2]),), (np.array([0.1, 0.9]),)]
    (joined,) = Stack().join(answers, terms("class", learnt))
    np.testing.assert_allclose(joined, [0.64 / 0.72, 0.08 / 0.72], rtol=1e-6)


def test_classes_for_themselves_are_sigmoids():
    learnt = {
        "weights": np.array([[1, 1], [0, 1]], np.float32),
        "bias": np.array([0, 0.5], np.float32),
    }
    answers = [(np.array([0.75, 0.9]), None), (np.array([0.5, 0.5]), None)]
    (joined,) = Stack().join(answers, terms("classes", learnt))
    np.testing.assert_allclose(joined, [0.75, 1 / (1 + np.exp(-0.5))], rtol=1e-6)


def terms(kind, learnt):
    return Terms(kind=kind, weights=np.ones(2), learnt=learnt)


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("class", {"weights": (10, 30), "bias": (10,)}),
        ("classes", {"weights": (10, 3), "bias": (10,)}),
    ],
)
def test_what_it_learns_has_these_shapes(kind, shapes):
    assert Stack().learnt_shapes(kind, 3, 10) == shapes
