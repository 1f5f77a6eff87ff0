"""Why stages are written as they are: what engines get wrong natively.

Each of these tests fails when an engine changes, in either direction. Then the choice that it
explains can be made again.
"""

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from onnx import TensorProto, helper


def native_resize(element_type, size_in, size_out, **attributes):
    """One ONNX Resize, NCHW."""
    shapes = [[1, 1, *size_in], [1, 1, *size_out]]
    given, left = (
        helper.make_tensor_value_info(name, element_type, shape)
        for name, shape in zip(("x", "y"), shapes, strict=True)
    )
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], shapes[1])
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", **attributes)
    graph = helper.make_graph([node], "resize", [given], [left], [sizes])
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def on_onnxruntime(model, picture):
    return onnxruntime.InferenceSession(model).run(None, {"x": picture})[0][0, 0]


def on_openvino(model, picture):
    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(model), "CPU", hints)(picture)[0][0, 0]


@pytest.fixture
def channel(noise):
    return noise(97, 61)[None, None, ..., 0]


@pytest.fixture
def antialiased(channel):
    floats = torch.from_numpy(channel.astype(np.float32))
    resized = torch.nn.functional.interpolate(floats, (32, 29), mode="bilinear", antialias=True)
    return resized[0, 0].numpy()


def test_openvino_ignores_the_antialias_attribute(channel, antialiased):
    model = native_resize(TensorProto.FLOAT, (97, 61), (32, 29), antialias=1, exclude_outside=1)
    plain = native_resize(TensorProto.FLOAT, (97, 61), (32, 29))
    floats = channel.astype(np.float32)
    assert np.array_equal(on_openvino(model, floats), on_openvino(plain, floats))
    assert np.abs(on_openvino(model, floats) - antialiased).max() > 20


def test_onnxruntime_antialiases_the_border_only_with_exclude_outside(channel, antialiased):
    floats = channel.astype(np.float32)
    for exclude, low, high in ((1, 0.0, 0.01), (0, 1.0, 255.0)):
        model = native_resize(
            TensorProto.FLOAT, (97, 61), (32, 29), antialias=1, exclude_outside=exclude
        )
        assert low <= np.abs(on_onnxruntime(model, floats) - antialiased).max() <= high


def test_onnxruntime_truncates_a_uint8_resize(channel):
    whole = on_onnxruntime(native_resize(TensorProto.UINT8, (97, 61), (32, 29)), channel)
    floats = channel.astype(np.float32)
    exact = on_onnxruntime(native_resize(TensorProto.FLOAT, (97, 61), (32, 29)), floats)
    assert 0.4 < (exact - whole).mean() < 0.6
