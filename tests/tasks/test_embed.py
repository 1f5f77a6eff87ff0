import math

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.tasks.embed import Embed, Embedding
from edgeprep.tensors import TensorSpec


def embed(*values):
    return Embed().decode((np.float32([values]),))


def test_vectors_have_length_one():
    assert embed(3.0, 4.0).vector.tolist() == pytest.approx([0.6, 0.8])
    assert embed(0.0, 0.0).vector.tolist() == [0.0, 0.0]


def test_similarity_is_the_cosine():
    assert embed(2.0, 0.0).similarity(embed(5.0, 5.0)) == pytest.approx(math.sqrt(0.5))
    assert embed(1.0, 2.0).similarity(embed(-1.0, -2.0)) == pytest.approx(-1.0)


def test_vectors_of_two_lengths_are_not_compared():
    with pytest.raises(ShapeError, match=r"^other: must have the same length, 2, got 3$"):
        embed(1.0, 0.0).similarity(embed(1.0, 0.0, 0.0))


def test_results_are_values():
    assert embed(1.0, 2.0) == embed(1.0, 2.0)
    assert hash(embed(1.0, 2.0)) == hash(embed(1.0, 2.0))
    assert embed(1.0, 2.0) != embed(2.0, 1.0)
    assert str(embed(1, 0, 0, 0, 0)) == "[1.000, 0.000, 0.000, 0.000, …] of 5"
    assert embed(1.0, 0.0).to_json() == {"vector": [1.0, 0.0]}
    assert isinstance(embed(1.0), Embedding)


def test_a_network_that_gives_maps_is_refused():
    with pytest.raises(
        RecipeError,
        match=r"^task: 'embed' needs one output \(1, length\), got \[\(1, 4, 2, 2\)\]$",
    ):
        Embed().check_outputs((TensorSpec(name="maps", shape=(1, 4, 2, 2), dtype="float32"),))
