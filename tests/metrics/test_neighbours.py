"""Recall of neighbours: what scikit-learn finds nearest, and values by hand."""

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from edgeprep.errors import DataError
from edgeprep.metrics import metric_for, table_of
from edgeprep.tasks.embed import Embed

TASK = Embed()


def score(name: str, vectors: Any, labels: Any) -> float:
    rows = np.asarray(vectors, np.float32)
    return metric_for(TASK, name).score([TASK.decode((row[None],)) for row in rows], labels)


def test_neighbours_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    # More than are compared at once.
    labels = generator.integers(0, 40, 700)
    centres = generator.normal(size=(40, 8))
    vectors = (centres[labels] + generator.normal(0, 1.0, (700, 8))) * generator.uniform(
        1, 9, (700, 1)
    )
    search = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors)
    others = labels[search.kneighbors(vectors, return_distance=False)[:, 1:]]
    same = others == labels[:, None]
    first = score("recall-at-1", vectors, labels.tolist())
    assert first == pytest.approx(same[:, 0].mean(), abs=1e-12)
    five = score("recall-at-5", vectors, labels.tolist())
    assert five == pytest.approx(same.any(axis=1).mean(), abs=1e-12)
    assert 0.2 < first < five < 1.0


def test_the_direction_counts_and_not_the_length() -> None:
    vectors = [[1, 0], [100, 1], [0, 1], [1, 100]]
    assert score("recall-at-1", vectors, [0, 0, 1, 1]) == 1.0
    assert score("recall-at-1", vectors, [0, 1, 0, 1]) == 0.0
    assert score("recall-at-5", vectors, [0, 1, 0, 1]) == 1.0


def test_samples_that_are_alone_in_their_class_are_left_out() -> None:
    vectors = [[1, 0], [0.9, 0.1], [0, 1]]
    assert score("recall-at-1", vectors, [4, 4, 7]) == 1.0


def test_a_vector_without_length_is_far_from_all() -> None:
    vectors = [[0, 0], [1, 0], [1, 0.1], [-1, 0]]
    # Of the first, all are at right angles: the first other sample is the nearest.
    assert score("recall-at-1", vectors, [1, 1, 1, 0]) == 1.0
    assert score("recall-at-1", vectors, [0, 1, 1, 0]) == 0.75


@pytest.mark.parametrize("labels", [[3], [1, 2]])
def test_samples_that_have_nothing_to_be_found_are_refused(labels: list[int]) -> None:
    with pytest.raises(DataError, match=r"^recall-at-5") as caught:
        score("recall-at-5", [[1.0, 0.0]] * len(labels), labels)
    assert str(caught.value) == (
        f"recall-at-5: needs at least 2 samples of one class, got none in {len(labels)} samples"
    )


def test_vectors_have_no_table_of_classes() -> None:
    assert table_of(TASK) is None
