"""Votes, and what breaks their ties, by hand."""

import numpy as np
import pytest

from edgeprep.combine import Terms
from edgeprep.combine.vote import Vote
from edgeprep.tasks.multilabel import MultiLabel

# Shares of votes are given to three millionths.
NEAR = {"rtol": 0, "atol": 3e-6}


def join(kind, weights, *answers):
    terms = Terms(kind=kind, weights=np.array(weights, np.float64))
    (joined,) = Vote().join(answers, terms)
    return joined


def of(*scores):
    return (np.array(scores, np.float64),)


def test_most_votes_win_whatever_the_others_weigh_or_how_sure_they_are():
    joined = join("class", [1, 1, 9], of(0.4, 0.6), of(0.4, 0.6), of(1.0, 0.0))
    np.testing.assert_allclose(joined, [1 / 3, 2 / 3], **NEAR)
    assert joined.argmax() == 1


def test_of_equally_many_votes_those_win_that_weigh_more():
    joined = join("class", [1, 2], of(0.99, 0.01), of(0.4, 0.6))
    np.testing.assert_allclose(joined, [0.5, 0.5], **NEAR)
    assert joined.argmax() == 1


def test_of_equal_votes_and_weights_the_higher_mean_wins():
    joined = join("class", [1, 1], of(0.55, 0.45), of(0.1, 0.9))
    assert joined.argmax() == 1


def test_of_all_that_is_equal_the_first_class_wins():
    joined = join("class", [1, 1], of(0.0, 0.25, 0.75), of(0.0, 0.75, 0.25))
    assert joined.argmax() == 1


def test_classes_without_a_vote_are_ordered_by_their_mean():
    joined = join("class", [1, 1], of(0.6, 0.1, 0.3), of(0.7, 0.1, 0.2))
    assert np.argsort(-joined).tolist() == [0, 2, 1]
    assert joined.sum() == pytest.approx(1.0, abs=1e-12)


def test_every_pixel_has_votes_of_its_own():
    first = np.array([[[0.9, 0.4, 0.4]], [[0.1, 0.6, 0.6]]], np.float32)
    second = np.array([[[0.8, 0.4, 0.9]], [[0.2, 0.6, 0.1]]], np.float32)
    joined = join("pixels", [1, 2], (first,), (second,))
    assert joined.dtype == np.float32
    assert joined.argmax(axis=0).tolist() == [[0, 1, 0]]
    np.testing.assert_allclose(joined[0], [[1.0, 0.0, 0.5]], **NEAR)


def test_who_does_not_look_at_a_pixel_has_no_vote_there():
    blind = np.full((2, 1, 2), np.nan, np.float32)
    seeing = np.array([[[0.4, np.nan]], [[0.6, np.nan]]], np.float32)
    joined = join("pixels", [9, 1], (blind,), (seeing,))
    np.testing.assert_allclose(joined[:, 0, 0], [0.0, 1.0], **NEAR)
    assert np.isnan(joined[:, 0, 1]).all()


def test_votes_of_pixels_are_those_of_a_loop_over_pixels():
    rng = np.random.default_rng(0)
    answers = [rng.dirichlet(np.ones(4), (3, 5)).transpose(2, 0, 1).round(1) for _ in range(4)]
    weights = [1.0, 2.0, 2.0, 1.0]
    joined = join("pixels", weights, *((each.astype(np.float32),) for each in answers))
    for y in range(3):
        for x in range(5):
            assert joined[:, y, x].argmax() == winner([a[:, y, x] for a in answers], weights)


def winner(scores, weights):
    """The class that wins, by the rules in words."""
    pairs = list(zip(weights, scores, strict=True))
    mean = sum(np.float32(w / sum(weights)) * s.astype(np.float32) for w, s in pairs)
    votes = [[w for w, s in pairs if s.argmax() == c] for c in range(4)]
    return max(range(4), key=lambda c: (len(votes[c]), sum(votes[c]), mean[c], -c))


@pytest.mark.parametrize(
    ("weights", "scores", "present", "share", "is_there"),
    [
        pytest.param([1, 1, 9], [0.6, 0.6, 0.0], [1, 1, 0], 2 / 3, True, id="most say so"),
        pytest.param([1, 1, 9], [0.4, 0.4, 1.0], [0, 0, 1], 1 / 3, False, id="most do not"),
        pytest.param([1, 2], [0.9, 0.4], [1, 0], 0.5, False, id="the others weigh more"),
        pytest.param([2, 1], [0.6, 0.0], [1, 0], 0.5, True, id="these weigh more"),
        pytest.param([1, 1], [0.6, 0.1], [1, 0], 0.5, False, id="a low mean"),
        pytest.param([1, 1], [0.6, 0.4], [1, 0], 0.5, True, id="a mean of a half"),
        pytest.param([1, 1], [0.6, 0.6], [1, 1], 1.0, True, id="all say so"),
    ],
)
def test_a_class_is_there_where_most_say_so(weights, scores, present, share, is_there):
    answers = [(np.array([s]), np.array([bool(p)])) for s, p in zip(scores, present, strict=True)]
    terms = Terms(kind="classes", weights=np.array(weights, np.float64))
    joined = Vote().join(answers, terms)
    assert joined[0] == pytest.approx([share], abs=1.1e-6)
    for least in (0.0, 0.3, 0.5, 0.7, 1.0):
        result = MultiLabel(labels=("a",), least_score=least).blending.give(joined)
        assert result.present.tolist() == [is_there]
        assert [one.name for one in result.labels] == ["a"] * is_there
