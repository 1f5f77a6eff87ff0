"""Which combiner joins the results of which task, and what is refused."""

import re

import numpy as np
import pytest

from edgeprep.combine import build_combiner
from edgeprep.combine.average import Average
from edgeprep.combine.boxes import Boxes
from edgeprep.combine.stack import Stack
from edgeprep.combine.vote import Vote
from edgeprep.errors import RecipeError
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.embed import Embed
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
from edgeprep.tasks.tensors import Tensors
from edgeprep.tasks.video_classify import VideoClassify

LABELS = ("red", "blue")
TASKS = {
    "classify": Classify(labels=LABELS),
    "video-classify": VideoClassify(labels=LABELS),
    "multilabel": MultiLabel(labels=LABELS),
    "segment": Segment(labels=LABELS),
    "restore": Restore(),
    "depth": Depth(),
    "embed": Embed(),
    "detect": Detect(labels=LABELS),
}
FITTING = {
    "classify": {"average", "vote", "stack"},
    "video-classify": {"average", "vote", "stack"},
    "multilabel": {"average", "vote", "stack"},
    "segment": {"average", "vote"},
    "restore": {"average"},
    "depth": {"average"},
    "embed": {"average"},
    "detect": {"boxes"},
}


@pytest.mark.parametrize("use", ["average", "vote", "stack", "boxes"])
@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_the_combiners_that_make_sense_of_its_results(task, use):
    if use in FITTING[task]:
        assert build_combiner({"use": use}, TASKS[task]).name == use
    else:
        rule = f"must be one that joins results of task '{task}', got '{use}'; it may be "
        with pytest.raises(RecipeError, match=f"^combine.use: {rule}'"):
            build_combiner({"use": use}, TASKS[task])


def test_the_fields_of_a_combiner_are_the_keys_of_its_table():
    assert build_combiner({"use": "average"}, TASKS["classify"]) == Average()
    assert build_combiner({"use": "vote"}, TASKS["segment"]) == Vote()
    assert build_combiner({"use": "stack", "penalty": 3}, TASKS["classify"]) == Stack(penalty=3.0)
    table = {"use": "boxes", "iou": 0.6, "least_score": 0.1}
    assert build_combiner(table, TASKS["detect"]) == Boxes(iou=0.6, least_score=0.1)


@pytest.mark.parametrize(
    ("table", "task", "message"),
    [
        (
            {"use": "avrage"},
            "classify",
            "combine.use: must name a combiner, got 'avrage'; did you mean 'average'?",
        ),
        (
            {"use": 7},
            "classify",
            (
                "combine.use: must name a combiner, got 7; known here: 'average', 'vote', 'stack', "
                "'boxes'"
            ),
        ),
        (
            {"use": "average"},
            "detect",
            (
                "combine.use: must be one that joins results of task 'detect', got 'average'; "
                "it may be 'boxes'"
            ),
        ),
        (
            {"use": "stack"},
            "segment",
            (
                "combine.use: must be one that joins results of task 'segment', got 'stack'; "
                "it may be 'average' or 'vote'"
            ),
        ),
        (
            {"use": "boxes", "iuo": 0.5},
            "detect",
            "combine.iuo: unknown key; did you mean 'iou'?",
        ),
        (
            {"use": "boxes", "iou": 1},
            "detect",
            "combine.iou: must be at least 0 and below 1, got 1",
        ),
        ({"use": "stack", "penalty": 0}, "classify", "combine.penalty: must be above 0, got 0"),
    ],
)
def test_a_wrong_table_is_refused(table, task, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        build_combiner(table, TASKS[task])


def test_a_task_whose_results_nobody_can_join_is_refused():
    message = (
        "task.use: must be a task whose results can be joined, got 'tensors', which has no blending"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        build_combiner({"use": "average"}, Tensors())


def test_a_restored_picture_is_made_of_its_numbers_again():
    blending = Restore().blending
    result = blending.give((np.array([[[0.5, 1.49, 254.5]]], np.float32),))
    assert result.picture.tolist() == [[[1, 1, 255]]]
    assert blending.take(result)[0].dtype == np.uint8
