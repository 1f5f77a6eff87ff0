"""Why no int8 picture is resized in a TFLite graph: the kernels without XNNPACK drift.

As in test_upstream_faults, these tests fail when the engine changes, in either direction.
"""

import flatbuffers
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

XNNPACK, BUILT_IN = OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def _tensor(name, shape, element_type, buffer=0):
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, list(shape)
    tensor.type, tensor.buffer = element_type, buffer
    if element_type == schema.TensorType.INT8:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0], [-128]
    return tensor


def native_resize(element_type, size_in, size_out):
    """One RESIZE_BILINEAR with half_pixel_centers, NHWC."""
    size = schema.BufferT()
    size.data = np.array(size_out, np.int32).view(np.uint8)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.ResizeBilinearOptions
    operator.builtinOptions = schema.ResizeBilinearOptionsT()
    operator.builtinOptions.halfPixelCenters = True
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor("x", [1, *size_in, 1], element_type),
        _tensor("size", [2], schema.TensorType.INT32, buffer=1),
        _tensor("y", [1, *size_out, 1], element_type),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESIZE_BILINEAR
    code.version = 3
    model = schema.ModelT()
    model.version, model.operatorCodes = 3, [code]
    model.subgraphs, model.buffers = [graph], [schema.BufferT(), size]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(model, picture, kernels):
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=kernels, num_threads=1
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, picture)
    interpreter.invoke()
    return interpreter.get_tensor(2)


@pytest.fixture
def worst(noise):
    """By how many levels a resize of an int8 picture is off at most."""

    def compute(size_in, size_out, kernels):
        levels = noise(*size_in)[None, ..., :1]
        model = native_resize(schema.TensorType.INT8, size_in, size_out)
        resized = run(model, (levels.astype(np.int16) - 128).astype(np.int8), kernels)
        exact = torch.nn.functional.interpolate(
            torch.from_numpy(levels.astype(np.float64)).permute(0, 3, 1, 2),
            size_out,
            mode="bilinear",
        ).permute(0, 2, 3, 1)
        return np.abs(resized + 128.0 - exact.numpy()).max()

    return compute


def test_int8_drifts_without_xnnpack(worst):
    # Positions are kept in 10 bits of a pixel: over 640 pixels, the error grows to 0.14 of one.
    assert 20 < worst((480, 640), (300, 300), BUILT_IN) < 80


def test_int8_is_rounded_rightly_by_xnnpack(worst):
    assert 0.45 < worst((480, 640), (300, 300), XNNPACK) < 0.6


def test_at_half_the_size_nothing_drifts_which_hides_it_from_tests(worst):
    assert worst((480, 640), (240, 320), BUILT_IN) <= 0.5


def test_float32_does_not_drift(noise):
    levels = noise(480, 640)[None, ..., :1].astype(np.float32)
    model = native_resize(schema.TensorType.FLOAT32, (480, 640), (300, 300))
    assert np.abs(run(model, levels, BUILT_IN) - run(model, levels, XNNPACK)).max() < 0.1
