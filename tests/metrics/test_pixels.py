"""Scores of masks: what scikit-learn says of the same pixels, and values by hand."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score

from edgeprep.errors import DataError
from edgeprep.metrics import metric_for, table_of
from edgeprep.metrics.class_score import PixelScore
from edgeprep.tasks.segment import Segment
from edgeprep.truths import Mask

TASK = Segment(labels=tuple("abcdefg"))
NAMES = ("mean-iou", "dice", "pixel-accuracy")


def result(classes: Any) -> SimpleNamespace:
    return SimpleNamespace(classes=np.asarray(classes, np.uint8))


def mask(classes: Any) -> Mask:
    return Mask(np.asarray(classes, np.uint8))


def score(name: str, predictions: Any, truths: Any) -> float:
    return metric_for(TASK, name).score(predictions, truths)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_that_scikit_learn_gives_for_all_pixels(seed: int) -> None:
    generator = np.random.default_rng(seed)
    shapes = [(13, 7), (1, 1), (24, 31), (5, 40)]
    # Class 4 is in truths alone, class 5 in results alone, and class 6 in neither.
    truths = [generator.choice([0, 1, 2, 3, 4, 255], shape) for shape in shapes]
    results = [
        np.where(generator.random(shape) < 0.6, np.minimum(truth, 3), generator.integers(0, 4))
        for shape, truth in zip(shapes, truths, strict=True)
    ]
    results[2][0, :5] = 5
    truths[2][0, :5] = 0
    theirs, ours = (np.concatenate([each.ravel() for each in all_]) for all_ in (truths, results))
    theirs, ours = theirs[theirs != 255], ours[theirs != 255]
    given = [result(each) for each in results], [mask(each) for each in truths]
    expected = {
        "mean-iou": jaccard_score(theirs, ours, average="macro"),
        "dice": f1_score(theirs, ours, average="macro"),
        "pixel-accuracy": accuracy_score(theirs, ours),
    }
    for name, value in expected.items():
        assert score(name, *given) == pytest.approx(value, abs=1e-12), name
    measure = table_of(TASK)
    table = measure.per_class(measure.take(*given), 7)
    np.testing.assert_array_equal(table.confusion, confusion_matrix(theirs, ours, labels=range(7)))
    each = jaccard_score(theirs, ours, average=None)
    assert [row.iou for row in table.rows[:6]] == pytest.approx(each.tolist(), abs=1e-12)
    assert [row.pixels for row in table.rows] == [np.sum(theirs == index) for index in range(7)]
    assert table.rows[6] == PixelScore(iou=None, dice=None, pixels=0)


def test_a_mask_by_hand() -> None:
    # Of class 0 one pixel is right, one was missed; of class 1 one is right, one is a false alarm.
    given = [result([[0, 1], [1, 3]])], [mask([[0, 0], [1, 255]])]
    assert score("mean-iou", *given) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert score("dice", *given) == pytest.approx(2 / 3)
    assert score("pixel-accuracy", *given) == pytest.approx(2 / 3)


def test_large_pictures_count_by_their_pixels() -> None:
    given = [result(np.ones((3, 3))), result([[0]])], [mask(np.ones((3, 3))), mask([[1]])]
    assert score("pixel-accuracy", *given) == 0.9


class OnceThrough:
    """Results that are made one after the other, each once, and of which one alone is held."""

    def __init__(self, count: int) -> None:
        self.count, self.made = count, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[SimpleNamespace]:
        for _ in range(self.count):
            self.made += 1
            yield result([[1, 0]])


@pytest.mark.parametrize("name", NAMES)
def test_results_are_gone_through_once(name: str) -> None:
    results: Any = OnceThrough(3)
    assert score(name, results, [mask([[1, 0]])] * 3) == 1.0
    assert results.made == 3


@pytest.mark.parametrize("name", NAMES)
def test_masks_that_say_nothing_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"^{name}") as caught:
        score(name, [result([[0, 1]])], [mask([[255, 255]])])
    assert str(caught.value) == (
        f"{name}: needs at least one pixel with a class among the truths, got 255 alone"
    )


def test_a_mask_of_another_size_is_refused() -> None:
    given = [result([[0]]), result([[0, 1]])], [mask([[0]]), mask([[0], [1]])]
    with pytest.raises(DataError, match=r"^masks") as caught:
        score("dice", *given)
    assert str(caught.value) == (
        "masks: the truth of sample 1 must have the shape (1, 2) of its result, got (2, 1)"
    )


def test_pixels_at_which_the_network_does_not_look_count_for_nobody() -> None:
    predictions, truths = [result([[0, 1, 255, 255]])], [mask([[0, 0, 1, 255]])]
    # Of class 0 two are there, one is found; class 1 was taken for one that it is not.
    assert score("mean-iou", predictions, truths) == 0.25
    assert score("pixel-accuracy", predictions, truths) == 0.5
