"""What `OnnxModule` refuses: the node, what is wrong with it, and the way round it."""

import re

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edgeprep.errors import ExportError
from edgeprep.stages.primitives.onnx_module import OnnxModule


def graph(*nodes, opset=20, shape=(1, 3, 4, 5), element_type=TensorProto.FLOAT, constants=()):
    """A model from `x` to `y`."""
    given = helper.make_tensor_value_info("x", element_type, shape)
    left = helper.make_tensor_value_info("y", element_type, None)
    built = helper.make_graph(nodes, "graph", [given], [left], list(constants))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(built, opset_imports=opsets, ir_version=9)
    return shape_inference.infer_shapes(model).SerializeToString()


def node(operator, *inputs, name="n3", outputs=("y",), **attributes):
    return helper.make_node(operator, inputs or ("x",), outputs, name=name, **attributes)


def constant(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def loop():
    flag = helper.make_tensor_value_info("go", TensorProto.BOOL, ())
    count = helper.make_tensor_value_info("i", TensorProto.INT64, ())
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [count, flag],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, ())],
    )
    return helper.make_node("Loop", ["", ""], ["y"], name="n3", body=body)


def external():
    tensor = constant("index", 0)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def sparse():
    values = numpy_helper.from_array(np.ones(1, np.float32), "values")
    return helper.make_sparse_tensor(values, constant("indices", 2), [5])


def sequence():
    given = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    left = helper.make_tensor_value_info("y", TensorProto.FLOAT, ())
    node = helper.make_node("Constant", [], ["y"], value_float=1.0)
    built = helper.make_graph([node], "graph", [given], [left])
    return helper.make_model(
        built, opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    ).SerializeToString()


SIZES = [constant("sizes", 1, 3, 8, 10)]
RESIZED = ("x", "", "", "sizes")
REFUSED = {
    "operators must be known to torch here, got 'Loop' (node 'n3')": graph(loop()),
    "operators must be known to torch here, got 'NonZero' (node 'y')": graph(
        node("NonZero", name="")
    ),
    "operators must be known to torch here, got 'com.microsoft.FusedConv' (node 'n3')": graph(
        node("FusedConv", domain="com.microsoft")
    ),
    "operators must be known to torch here, got 'Attention' (node 'n3')": graph(
        node("Attention", "x", "x", "x"), opset=23
    ),
    "the opset must be 13 to 24, got 12": graph(node("Relu"), opset=12),
    "the opset must be 13 to 24, got 25": graph(node("Relu"), opset=25),
    "inputs must have fixed shapes here, got ('N', 3, '?', 5) (input 'x')": graph(
        node("Relu"), shape=("N", 3, None, 5)
    ),
    "element types must be known to torch here, got UINT16 (input 'x')": graph(
        node("Identity"), element_type=TensorProto.UINT16
    ),
    "element types must be known to torch here, got BFLOAT16 (node 'n2')": graph(
        node("Cast", name="n2", outputs=("a",), to=TensorProto.BFLOAT16),
        node("Cast", "a", to=TensorProto.FLOAT),
    ),
    "element types must be known to torch here, got STRING (constant 'names')": graph(
        node("Identity"), constants=[numpy_helper.from_array(np.array(["a"], object), "names")]
    ),
    "constants must be inside the model, got external data (constant 'index')": graph(
        node("Gather", "x", "index"), constants=[external()]
    ),
    "sizes, axes and bounds must be constants here, got 's' for 'Reshape' (node 'n3')": graph(
        node("ArgMax", outputs=("s",), axis=0), node("Reshape", "x", "s"), shape=(4,)
    ),
    "sizes, axes and bounds must be constants here, got 'top' for 'Clip' (node 'n3')": graph(
        node("ReduceMax", outputs=("top",), keepdims=0), node("Clip", "x", "", "top")
    ),
    "attributes must be known to torch here, got training_mode=1 of 'BatchNormalization' "
    "(node 'n3')": graph(
        node("BatchNormalization", *"xxxxx", training_mode=1, outputs=("y", "a", "b")),
        shape=(1,),
    ),
    "attributes must be known to torch here, got coordinate_transformation_mode="
    "'half_pixel_symmetric' of 'Resize' (node 'n3')": graph(
        node("Resize", *RESIZED, coordinate_transformation_mode="half_pixel_symmetric"),
        constants=SIZES,
    ),
    "attributes must be known to torch here, got keep_aspect_ratio_policy='not_larger' of "
    "'Resize' (node 'n3')": graph(
        node("Resize", *RESIZED, keep_aspect_ratio_policy="not_larger"), constants=SIZES
    ),
    "attributes must be known to torch here, got mode='linear', dtype='uint8' of 'Resize' "
    "(node 'n3')": graph(
        node("Resize", *RESIZED, mode="linear", coordinate_transformation_mode="asymmetric"),
        constants=SIZES,
        element_type=TensorProto.UINT8,
    ),
    "attributes must be known to torch here, got dilations=[2, 1] of 'AveragePool' "
    "(node 'n3')": graph(node("AveragePool", kernel_shape=[2, 2], dilations=[2, 1])),
    "attributes must be known to torch here, got value_string='a' of 'Constant' (node 'n2')": graph(
        helper.make_node("Constant", [], ["a"], name="n2", value_string="a"), node("Identity")
    ),
    "attributes must be known to torch here, got sparse_value='SparseTensorProto' of 'Constant' "
    "(node 'n2')": graph(
        helper.make_node("Constant", [], ["a"], name="n2", sparse_value=sparse()),
        node("Add", "x", "a"),
    ),
    "inputs must be tensors, got sequence_type (input 'x')": sequence(),
    "attributes must be known to torch here, got size=2 of 'LRN' (node 'n3')": graph(
        node("LRN", size=2)
    ),
    "attributes must be known to torch here, got noop_with_empty_axes=1 of 'ReduceSum' "
    "(node 'n3')": graph(node("ReduceSum", noop_with_empty_axes=1)),
    "outputs must be known to torch here, got 'where' of 'MaxPool' (node 'n2')": graph(
        node("MaxPool", name="n2", outputs=("a", "where"), kernel_shape=[2, 2]),
        node("Cast", "where", to=TensorProto.FLOAT),
    ),
}


@pytest.mark.parametrize("message", list(REFUSED))
def test_what_torch_cannot_compute_is_refused_with_the_node_and_the_remedy(message):
    remedy = '; leave the stage on the host, by placement = "host"'
    with pytest.raises(ExportError, match=f"^{re.escape(f'network: {message}{remedy}')}$"):
        OnnxModule(REFUSED[message])


FAULTS = {
    "DecodeError: Error parsing message with type 'onnx.ModelProto': Wire format was corrupt": (
        b"not a model"
    ),
    "ValidationError: Graph must be in single static assignment (SSA) form, however 'y' has been "
    "used as output names multiple times.": graph(node("Relu"), node("Relu")),
}


@pytest.mark.parametrize("fault", list(FAULTS), ids=["no model", "no valid graph"])
def test_what_is_no_valid_model_is_refused(fault):
    remedy = '; leave the stage on the host, by placement = "host"'
    message = f'network: must be a valid ONNX model, got "{fault}"{remedy}'
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        OnnxModule(FAULTS[fault])


def test_what_torch_fails_at_is_refused_when_the_module_is_made():
    model = graph(
        node("Div", "x", "zero"), constants=[constant("zero", 0)], element_type=TensorProto.INT64
    )
    message = (
        "network: torch must compute every node, got 'RuntimeError: ZeroDivisionError' from "
        "'Div' (node 'n3'); leave the stage on the host, by placement = \"host\""
    )
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        OnnxModule(model)
