import math

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.schema import build
from edgeprep.tasks.classify import Classify, Label
from edgeprep.tensors import TensorSpec

THREE = Classify(labels=("ant", "bee", "cow"))


def decode(task: Classify, *rows: list[float]) -> list[object]:
    return [task.decode((np.array([row], np.float32),)) for row in rows]


def logits(*shape: int) -> tuple[TensorSpec, ...]:
    return (TensorSpec(name="logits", shape=shape, dtype="float32"),)


def test_softmax_of_logs_gives_the_shares_back() -> None:
    result = THREE.decode((np.log(np.array([[1, 5, 4]], np.float32)),))
    assert (result.label, result.index) == ("bee", 1)
    assert result.score == pytest.approx(0.5, abs=1e-7)
    assert [label.name for label in result.labels] == ["bee", "cow", "ant"]
    assert [label.score for label in result.labels] == pytest.approx([0.5, 0.4, 0.1], abs=1e-7)


def test_sigmoid_scores_each_class_alone() -> None:
    task = Classify(labels=("ant", "bee"), scores="sigmoid")
    result = task.decode((np.array([[0.0, math.log(3)]], np.float32),))
    assert [label.score for label in result.labels] == pytest.approx([0.75, 0.5], abs=1e-7)


def test_none_leaves_the_outputs_as_they_are() -> None:
    task = Classify(labels=("ant", "bee"), scores="none")
    result = task.decode((np.array([[0.25, 0.75]], np.float32),))
    assert result.labels == (
        Label(name="bee", index=1, score=0.75),
        Label(name="ant", index=0, score=0.25),
    )


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
def test_extreme_logits_neither_overflow_nor_warn(scores: str) -> None:
    task = Classify(labels=("ant", "bee"), scores=scores)  # type: ignore[arg-type]
    result = task.decode((np.array([[-3e38, 3e38]], np.float32),))
    assert [label.score for label in result.labels] == [1.0, 0.0]


def test_of_equal_classes_the_first_is_best() -> None:
    result = THREE.decode((np.array([[1, 2, 2]], np.float32),))
    assert result.index == 1
    assert [label.index for label in result.labels] == [1, 2, 0]


def test_top_limits_what_is_listed() -> None:
    task = Classify(labels=("ant", "bee", "cow"), top=2)
    result = task.decode((np.array([[1, 2, 3]], np.float32),))
    assert [label.name for label in result.labels] == ["cow", "bee"]


def test_scores_and_ranking_are_of_all_classes_whatever_top_is() -> None:
    task = Classify(labels=("ant", "bee", "cow"), top=1)
    result = task.decode((np.log(np.array([[1, 5, 4]], np.float32)),))
    assert result.scores.tolist() == pytest.approx([0.1, 0.5, 0.4], abs=1e-7)
    assert result.ranking.tolist() == [1, 2, 0]


def test_ranking_goes_by_outputs_where_scores_are_equal() -> None:
    result = THREE.decode((np.array([[-2000, 0, -1000]], np.float32),))
    assert result.scores.tolist() == [0.0, 1.0, 0.0]
    assert result.ranking.tolist() == [1, 2, 0]


def test_integer_and_half_outputs_are_scored_too() -> None:
    half = THREE.decode((np.array([[0, 0, 0]], np.float16),))
    assert half.score == pytest.approx(1 / 3, abs=1e-12)
    whole = THREE.decode((np.array([[0, 100, 0]], np.uint8),))
    assert whole.label == "bee"
    assert [label.index for label in whole.labels] == [1, 0, 2]


def test_results_are_values() -> None:
    first, same, other = decode(THREE, [0, 1, 0], [0, 1, 0], [0, 2, 0])
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert first != "bee"
    assert repr(first) == "Classification(label='bee', score=0.5761)"
    assert str(first) == "bee (0.5761)"
    with pytest.raises(AttributeError, match="label"):
        first.label = "cow"  # type: ignore[attr-defined]


def test_json_has_the_best_and_the_list() -> None:
    task = Classify(labels=("ant", "bee"), scores="none", top=1)
    result = task.decode((np.array([[0.25, 0.75]], np.float32),))
    assert result.to_json() == {
        "label": "bee",
        "score": 0.75,
        "labels": [{"name": "bee", "index": 1, "score": 0.75}],
    }


def test_a_fitting_network_is_accepted() -> None:
    THREE.check_outputs(logits(1, 3))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (logits(1, 4), "task.labels: must name each of the network's 4 classes, got 3 labels"),
        (
            logits(1, 3, 1, 1),
            "task: 'classify' needs one output (1, classes), got [(1, 3, 1, 1)]",
        ),
        (logits(2, 3), "task: 'classify' needs one output (1, classes), got [(2, 3)]"),
        (
            logits(1, 3) * 2,
            "task: 'classify' needs one output (1, classes), got [(1, 3), (1, 3)]",
        ),
        ((), "task: 'classify' needs one output (1, classes), got []"),
    ],
    ids=["classes", "rank", "batch", "two", "none"],
)
def test_other_networks_are_refused(outputs: tuple[TensorSpec, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=r"^task") as caught:
        THREE.check_outputs(outputs)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"labels": ["a"]}, "task.labels: must have at least 2 items, got ['a']"),
        (
            {"labels": ["a", "b", "a"]},
            "task.labels[2]: must differ from labels[0], got 'a'",
        ),
        ({"labels": ["a", "b"], "top": 0}, "task.top: must be at least 1, got 0"),
        (
            {"labels": ["a", "b"], "scores": "softmx"},
            (
                "task.scores: must be one of 'none', 'sigmoid', 'softmax', got 'softmx';"
                " did you mean 'softmax'?"
            ),
        ),
    ],
    ids=["one label", "twice", "top", "scores"],
)
def test_a_wrong_table_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=r"^task") as caught:
        build(Classify, table, "task")
    assert str(caught.value) == message
