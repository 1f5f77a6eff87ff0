"""Values that are a long way from the picture get a short one, and stay what they are."""

from collections import deque

import numpy as np
import openvino as ov
import pytest

from edgeprep.stages.canny import Canny
from edgeprep.stages.chain import Chain
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.median import Median
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep_openvino._shortcuts import MOST_STEPS, add_shortcuts

IMAGE = ImageSpec(height=29, width=37)
LONG = (Equalize(), Clahe(grid=(2, 3)), Canny(steps=4))


def front_of(*stages):
    return ov.Core().read_model(build_onnx(Chain(input=IMAGE, stages=stages)))


def steps_back(node, most):
    """As OpenVINO's isConstantPath: every input of every input, until one is an end."""
    inputs, steps = deque(node.input_values()), 0
    while inputs and steps <= most:
        before = inputs.popleft().get_node()
        steps += 1
        if before.get_type_name() in ("Parameter", "MatMul"):
            return steps
        inputs.extend(before.input_values())
    return steps


def computed(front, picture):
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(front, "CPU", exact)(picture)[0]


def test_the_way_back_from_the_end_becomes_short():
    front = front_of(*LONG)
    end = front.get_results()[0]
    assert steps_back(end, 10 * MOST_STEPS) > 10 * MOST_STEPS
    assert 1 <= add_shortcuts(front) <= 5
    assert steps_back(end, 10 * MOST_STEPS) <= MOST_STEPS


@pytest.mark.parametrize("stages", [LONG, (Clahe(), Median(size=5))], ids=["edges", "median"])
def test_all_values_stay_what_they_are(stages):
    picture = np.random.default_rng(0).integers(0, 256, IMAGE.shape(), np.uint8)
    front = front_of(*stages)
    before = computed(front, picture)
    assert add_shortcuts(front) >= 1
    assert np.array_equal(computed(front, picture), before)


def test_what_has_no_long_way_is_left_as_it_is():
    front = front_of(Resize(size=(16, 16)), Normalize(mean=(0.5,) * 3, std=(0.2,) * 3))
    count = len(front.get_ordered_ops())
    assert add_shortcuts(front) == 0
    assert len(front.get_ordered_ops()) == count
