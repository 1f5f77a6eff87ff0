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

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


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


def on_openvino(model, picture, **hints):
    core = openvino.Core()
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
    asked, ignored = (on_openvino(each, floats, **EXACT) for each in (model, plain))
    assert np.array_equal(asked, ignored)
    assert np.abs(asked - antialiased).max() > 20


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


def test_openvino_computes_in_bfloat16_unless_told_where_the_cpu_can(channel):
    model = native_resize(TensorProto.FLOAT, (97, 61), (32, 29))
    floats = channel.astype(np.float32)
    exact = on_onnxruntime(model, floats)
    capable = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # Its 8 bits tell levels apart, no halves of them: half a level is lost.
    low, high = (0.25, 1.0) if capable else (0.0, 0.01)
    assert low <= np.abs(on_openvino(model, floats) - exact).max() <= high
    assert np.abs(on_openvino(model, floats, **EXACT) - exact).max() <= 0.01


def test_torch_crashes_where_it_antialiases_uint8_to_one_pixel(channel):
    # On x86 with AVX2; in float32 it is the mean of all pixels, weighted as a triangle.
    whole = torch.from_numpy(channel).expand(1, 3, -1, -1).contiguous()
    with pytest.raises(RuntimeError, match="INTERNAL ASSERT FAILED"):
        torch.nn.functional.interpolate(whole, (1, 1), mode="bilinear", antialias=True)
    exact = torch.nn.functional.interpolate(whole.float(), (1, 1), mode="bilinear", antialias=True)
    assert 100 < exact.mean() < 155


def test_statistics_folded_into_a_convolution_are_wrong_at_the_border(noise):
    """Nobody's fault: zeros around normalized pixels are the mean, and around levels are black."""
    levels = torch.from_numpy(noise(32, 31)).permute(2, 0, 1)[None].float()
    mean = torch.tensor([0.485, 0.456, 0.406]) * 255
    std = torch.tensor([0.229, 0.224, 0.225]) * 255
    kernel = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(7)) * 0.2
    folded = kernel / std[:, None, None]
    bias = -(folded * mean[:, None, None]).sum((1, 2, 3))
    conv = torch.nn.functional.conv2d
    want = conv((levels - mean[:, None, None]) / std[:, None, None], kernel, padding=1)
    off = (conv(levels, folded, bias, padding=1) - want).abs()
    assert off[..., 1:-1, 1:-1].max() < 1e-4
    assert off.max() > want.std()
    # Right only where the convolution pads with the mean.
    padded = mean[None, :, None, None].expand(1, 3, 34, 33).clone()
    padded[..., 1:-1, 1:-1] = levels
    assert (conv(padded, folded, bias) - want).abs().max() < 1e-4
