"""Weighted means, by hand."""

import re

import numpy as np
import pytest

from edgeprep.combine import Terms
from edgeprep.combine.average import Average
from edgeprep.errors import OutputError


def terms(kind, *weights):
    return Terms(kind=kind, weights=np.array(weights, np.float64))


def test_scores_count_by_the_weights_of_their_members():
    answers = [(np.array([0.8, 0.2]),), (np.array([0.2, 0.8]),)]
    (mean,) = Average().join(answers, terms("class", 3.0, 1.0))
    assert mean.dtype == np.float64
    np.testing.assert_allclose(mean, [0.65, 0.35], rtol=0, atol=1e-15)


def test_weights_count_beside_each_other_alone():
    answers = [(np.array([0.8, 0.2]),), (np.array([0.2, 0.8]),)]
    (one,) = Average().join(answers, terms("class", 3.0, 1.0))
    (other,) = Average().join(answers, terms("class", 300.0, 100.0))
    assert one.tolist() == other.tolist()


def test_levels_become_numbers_between_them():
    pictures = [(np.full((2, 2, 3), level, np.uint8),) for level in (255, 254)]
    (mean,) = Average().join(pictures, terms("values", 1.0, 1.0))
    assert (mean.dtype, mean.min(), mean.max()) == (np.float32, 254.5, 254.5)


def test_where_one_does_not_look_the_others_count():
    far, near = np.array([[4.0, np.nan]], np.float32), np.array([[2.0, 8.0]], np.float32)
    unknown = np.array([[np.nan, np.nan]], np.float32)
    weights = terms("values", 1.0, 3.0, 5.0)
    (mean,) = Average().join([(far,), (near,), (unknown,)], weights)
    np.testing.assert_allclose(mean, [[2.5, 8.0]], rtol=1e-6)


def test_where_nobody_looks_nothing_is_known():
    (mean,) = Average().join(
        [(np.array([np.nan, 1.0], np.float32),)] * 2, terms("values", 1.0, 1.0)
    )
    np.testing.assert_array_equal(mean, [np.nan, 1.0])


def test_results_of_other_shapes_are_refused_and_not_stretched():
    answers = [(np.zeros((2, 2, 3)),), (np.zeros((2, 2, 1)),)]
    message = "member[1]: must give results of shape (2, 2, 3), as member[0] does, got (2, 2, 1)"
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        Average().join(answers, terms("values", 1.0, 1.0))


def test_the_cosine_of_joined_vectors_is_the_mean_of_those_of_members():
    rng = np.random.default_rng(0)
    # Two members with spaces of their own, and two pictures in each.
    spaces = [rng.normal(size=(2, length)).astype(np.float32) for length in (5, 3)]
    spaces = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in spaces]
    pairs = [[(space[at],) for space in spaces] for at in (0, 1)]
    ((one,), (other,)) = (Average().join(each, terms("vectors", 3.0, 1.0)) for each in pairs)
    assert (one.shape, one.dtype) == ((8,), np.float32)
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-6)
    cosines = [float(space[0] @ space[1]) for space in spaces]
    assert float(one @ other) == pytest.approx(0.75 * cosines[0] + 0.25 * cosines[1], abs=1e-6)
