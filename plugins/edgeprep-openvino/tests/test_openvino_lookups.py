"""Tables are looked up by another operator, and what is found is the same."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from edgeprep.stages.chain import Chain
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.tensors import ImageSpec
from edgeprep_openvino._lookups import gather_lookups


def kinds(model):
    return [node.get_type_name() for node in model.get_ordered_ops()]


def computed(model, *inputs):
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(model, "CPU", exact)(inputs)[0]


def test_the_tables_of_a_picture_are_gathered():
    chain = Chain(input=ImageSpec(height=29, width=37), stages=(Clahe(grid=(2, 3)),))
    picture = np.random.default_rng(0).integers(0, 256, (1, 29, 37, 3), np.uint8)
    model = ov.Core().read_model(build_onnx(chain))
    assert kinds(model).count("GatherElements") == 4
    gather_lookups(model)
    assert "GatherElements" not in kinds(model)
    expected = chain.apply(NumpyPrimitives(), picture)
    assert np.array_equal(computed(model, picture), expected)


@pytest.mark.parametrize(
    ("rows", "axis", "found", "is_gathered"),
    [
        (1, 1, [[4, 0, 2]], True),
        (1, -1, [[4, 0, 2]], True),
        (2, 1, [[4, 0, 2], [1, 1, 3]], False),
        (1, 0, [[0] * 5] * 3, False),
    ],
    ids=["one row", "from the end", "two rows", "down a column"],
)
def test_elements_of_one_row_alone_are_gathered(rows, axis, found, is_gathered):
    table = np.random.default_rng(1).random((rows, 5), np.float32)
    indices = np.array(found, np.int32)
    inputs = [op.parameter(array.shape, array.dtype) for array in (table, indices)]
    model = ov.Model([op.gather_elements(*inputs, axis)], inputs, "lookup")
    gather_lookups(model)
    assert ("GatherElements" not in kinds(model)) == is_gathered
    assert np.array_equal(computed(model, table, indices), np.take_along_axis(table, indices, axis))
