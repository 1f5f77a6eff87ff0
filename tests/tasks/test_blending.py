"""Results taken apart into arrays, and made of them again."""

from dataclasses import fields

import numpy as np
import pytest

from edgeprep.geometry import Affine, Frame
from edgeprep.interfaces import Task
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.embed import Embed
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
from edgeprep.tasks.tensors import Tensors
from edgeprep.truths import IGNORED

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (1, 3)).astype(np.float32)
MAPS = RNG.normal(0, 2, (1, 3, 4, 6)).astype(np.float32)
LABELS = ("a", "b", "c")
FRAME = Frame.whole(8, 12)
CORNERS = np.array([[[1, 1, 4, 4], [5, 2, 11, 7]]], np.float32)
SCORES = np.array([[[0.1, 0.6, 0.2], [0.9, 0.1, 0.3]]], np.float32)

CASES: dict[str, tuple[Task, tuple[np.ndarray, ...]]] = {
    "classify": (Classify(labels=LABELS), (LOGITS,)),
    "sigmoid": (Classify(labels=LABELS, scores="sigmoid"), (LOGITS,)),
    "multilabel": (MultiLabel(labels=LABELS), (LOGITS,)),
    "segment": (Segment(labels=LABELS), (MAPS,)),
    "two classes": (Segment(labels=("no", "yes"), scores="sigmoid"), (MAPS[:, :1],)),
    "restore": (Restore(range=(-3.0, 3.0)), (MAPS.repeat(2, 2).repeat(2, 3),)),
    "depth": (Depth(unit="m", scale=0.5), (MAPS[:, :1],)),
    "embed": (Embed(), (LOGITS,)),
    "detect": (
        Detect(labels=LABELS),
        (CORNERS, np.log(SCORES / (1 - SCORES))),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_result_made_of_its_own_arrays_says_the_same(case):
    task, outputs = CASES[case]
    result = task.decode(outputs, FRAME)
    again = task.blending.give(task.blending.take(result))
    assert type(again) is type(result)
    if case == "embed":
        np.testing.assert_allclose(again.vector, result.vector, rtol=1e-6)
    elif case == "two classes":
        assert again == result
        np.testing.assert_allclose(again.probabilities, result.probabilities, rtol=1e-6)
    else:
        assert again.to_json() == result.to_json()


@pytest.mark.parametrize("case", CASES)
def test_arrays_are_of_the_kind_that_is_said(case):
    task, outputs = CASES[case]
    arrays = task.blending.take(task.decode(outputs, FRAME))
    shapes = {
        "class": [(3,)],
        "classes": [(3,), (3,)],
        "pixels": [(2, 8, 12) if case == "two classes" else (3, 8, 12)],
        "values": {"restore": [(8, 12, 3)], "depth": [(8, 12)]}.get(case),
        "vectors": [(3,)],
        "boxes": [(2, 4), (2,), (2,)],
    }
    assert [array.shape for array in arrays] == shapes[task.blending.kind]


def test_objects_below_the_least_score_go_and_the_best_come_first():
    task = Detect(labels=LABELS, least_score=0.3, most=2)
    boxes = np.arange(16.0).reshape(4, 4)
    scores, classes = np.array([0.2, 0.5, 0.9, 0.4]), np.array([0, 1, 2, 0])
    result = task.blending.give((boxes, scores, classes))
    assert [(one.label, one.score) for one in result] == [("c", np.float32(0.9)), ("b", 0.5)]
    assert result[0].box == (8.0, 9.0, 10.0, 11.0)


# The network looks at the right half of 8 × 12 pixels.
HALF = Frame(8, 12, (8, 6), (Affine.scaled(1.0, 1.0, 6.0, 0.0),))


def test_of_a_mask_the_pixels_are_unknown_that_nobody_looked_at():
    task = Segment(labels=LABELS)
    (maps,) = task.blending.take(task.decode((MAPS,), HALF))
    assert np.isnan(maps[:, :, :6]).all()
    assert not np.isnan(maps[:, :, 6:]).any()
    again = task.blending.give((maps,))
    assert (again.classes[:, :6] == IGNORED).all()
    assert (again.classes == task.decode((MAPS,), HALF).classes).all()


def test_of_a_map_the_pixels_are_unknown_that_nobody_looked_at():
    task = Depth()
    (values,) = task.blending.take(task.decode((MAPS[:, :1],), HALF))
    assert np.isnan(values[:, :6]).all()
    again = task.blending.give((values,))
    np.testing.assert_array_equal(again.values, values)
    assert again == task.decode((MAPS[:, :1],), HALF)


def test_relative_maps_are_brought_to_the_first_one():
    task = Depth(align="scale-and-shift")
    first = np.arange(12, dtype=np.float32).reshape(3, 4)
    blind = np.where(first == 5, np.float32(np.nan), 10 - first)
    aligned = task.blending.align([(first,), (1000 * first + 7,), (blind,)])
    np.testing.assert_allclose(aligned[0][0], first)
    np.testing.assert_allclose(aligned[1][0], first, atol=1e-5)
    np.testing.assert_allclose(aligned[2][0], np.where(first == 5, np.nan, first), atol=1e-5)
    assert Depth().blending.align is None


def test_where_masks_are_scored_their_classes_are_all_that_is_kept():
    task = Segment(labels=LABELS)
    result = task.decode((MAPS,), HALF)
    scored = task.blending.scored
    (classes,) = scored.take(result)
    assert (classes.dtype, classes.shape) == (np.uint8, (8, 12))
    again = scored.give((classes,))
    assert again == result
    assert again.probabilities[:, :, 6:].argmax(axis=0).tolist() == classes[:, 6:].tolist()


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_outputs_changes_nothing_of_joined_results(case):
    task, outputs = CASES[case]
    arrays = task.blending.take(task.decode(outputs, FRAME))
    names = {field.name for field in fields(task)}
    assert names >= set(task.blending.unheard)
    # All that says something of outputs as it is where nobody says anything.
    plain = {key: getattr(task, key) for key in names - set(task.blending.unheard)}
    assert type(task)(**plain).blending.give(arrays) == task.blending.give(arrays)


def test_what_members_must_have_in_common_is_what_results_mean():
    assert Classify(labels=LABELS).blending.same == {"labels": LABELS}
    assert Detect(labels=LABELS).blending.same == {"labels": LABELS}
    assert Restore(scale=2).blending.same == {"scale": 2}
    assert Depth(unit="m").blending.same == {"unit": "m", "align": "none"}
    assert Tensors().blending is None
