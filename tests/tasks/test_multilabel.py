import math

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tensors import TensorSpec

TASK = MultiLabel(labels=("ant", "bee", "cow"))


def decode(task, *values):
    return task.decode((np.float32([values]),))


def test_every_class_is_there_or_not():
    result = decode(TASK, -1.0, math.log(3), 0.0)
    assert result.scores.tolist() == pytest.approx([1 / (1 + math.e), 0.75, 0.5])
    assert result.present.tolist() == [False, True, True]
    assert [label.name for label in result.labels] == ["bee", "cow"]
    assert str(result) == "bee (0.75), cow (0.50)"


def test_probabilities_stay_and_the_least_score_counts():
    task = MultiLabel(labels=("ant", "bee"), scores="none", least_score=0.25)
    result = decode(task, 0.25, 0.125)
    assert result.to_json() == {"labels": [{"name": "ant", "index": 0, "score": 0.25}]}
    assert str(decode(task, 0.0, 0.0)) == "nothing"


def test_results_are_values():
    first, same, other = decode(TASK, 0, 1, -1), decode(TASK, 0, 1, -1), decode(TASK, 1, 1, 1)
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert first != "bee"


def test_a_network_of_other_classes_is_refused():
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        TASK.check_outputs((TensorSpec(name="scores", shape=(1, 4), dtype="float32"),))
    assert str(caught.value) == (
        "task: 'multilabel' needs one output (1, 3), with a value for each label, got [(1, 4)]"
    )
