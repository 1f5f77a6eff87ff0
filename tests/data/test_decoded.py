"""Results as metrics ask for them."""

import numpy as np

from edgeprep.data import Prepared
from edgeprep.data.decoded import Decoded
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.metrics.boxes import AP50
from edgeprep.tasks.box_head import ScoreColumns
from edgeprep.tasks.detect import Detect
from edgeprep.truths import Boxes

CORNERS = [[0, 0, 8, 8], [16, 0, 24, 8], [0, 16, 8, 24], [16, 16, 24, 24]]


def test_detectors_are_scored_with_candidates_that_applications_leave_out():
    task = Detect(labels=("ant",), scores=ScoreColumns(output=1, activation="none"))
    outputs = np.float32([CORNERS]), np.float32([[[0.9], [0.2], [0.05], [0.002]]])
    frame = Frame(32, 32, (32, 32), (IDENTITY,))
    truths = (Boxes.of(CORNERS, [0, 0, 0, 0]),)
    samples = Prepared(
        inputs=np.zeros((1, 32, 32, 3), np.uint8), labels=truths, skipped=(), frames=(frame,)
    )
    results = Decoded(task=task, outputs=[outputs], samples=samples)
    assert AP50.score(results, truths) == 1.0
    # An application finds one of four: 26 of 101 recalls, 0.00 to 0.25, have a precision of 1.
    assert np.isclose(AP50.score([task.decode(outputs, frame)], truths), 26 / 101)
