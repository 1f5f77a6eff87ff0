"""What the ONNX builder writes: small, deterministic, and nothing that engines disagree on."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgeprep.errors import ExportError, RecipeError
from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

NORMALIZE = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def camera_chain(**resize):
    stages = (Resize(size=(224, 224), **resize), NORMALIZE, Layout())
    return Chain(input=ImageSpec(height=720, width=1280), stages=stages)


def test_the_same_chain_gives_the_same_bytes():
    assert build_onnx(camera_chain()) == build_onnx(camera_chain())


def test_the_graph_declares_its_types_and_names():
    model = onnx.load_from_string(build_onnx(camera_chain(), input_name="a", output_name="b"))
    (given,), (left,) = model.graph.input, model.graph.output
    assert (given.name, left.name) == ("a", "b")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [1, 720, 1280, 3]
    assert left.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [dim.dim_value for dim in left.type.tensor_type.shape.dim] == [1, 3, 224, 224]


def test_antialiasing_adds_less_than_150_kilobytes():
    assert len(build_onnx(camera_chain())) <= 150_000


def test_antialiasing_does_not_use_the_attribute_that_openvino_ignores():
    model = onnx.load_from_string(build_onnx(camera_chain()))
    assert "Resize" not in {node.op_type for node in model.graph.node}


def test_the_gather_moves_uint8():
    nodes = onnx.load_from_string(build_onnx(camera_chain())).graph.node
    assert [node.op_type for node in nodes[:2]] == ["Gather", "Cast"]


def swapped(*stages):
    return build_onnx(Chain(input=ImageSpec(height=97, width=61, color="bgr"), stages=stages))


def operators(model):
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


@pytest.mark.parametrize("options", [{"antialias": False}, {}], ids=["bilinear", "antialiased"])
def test_channels_are_swapped_when_the_picture_is_small(noise, options):
    resize, swap = Resize(size=(20, 31), **options), Color(to="rgb")
    first, last = swapped(swap, resize), swapped(resize, swap)
    assert operators(first) == operators(last)
    feed = {"image": noise(97, 61)[None]}
    results = [onnxruntime.InferenceSession(one).run(None, feed)[0] for one in (first, last)]
    assert np.array_equal(*results)


def test_channels_that_are_swapped_twice_are_left_alone():
    assert operators(swapped(Color(to="rgb"), Color(to="bgr"))) == ["Identity"]


def test_axes_change_places_once_for_a_swap_a_normalization_and_the_layout():
    stages = (Resize(size=(20, 31), antialias=False), Color(to="rgb"), NORMALIZE, Layout())
    assert operators(swapped(*stages)) == [
        "Cast", "Resize", "Transpose", "Gather", "Mul", "Add", "Identity"
    ]  # fmt: skip


def test_nothing_is_stored_that_the_output_does_not_depend_on():
    graph = onnx.load_from_string(swapped(Color(to="rgb"), Resize(size=(20, 31)))).graph
    read = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} == read - {
        "image",
        *(name for node in graph.node for name in node.output),
    }


@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22, 23])
def test_every_opset_from_18_is_valid(opset):
    model = onnx.load_from_string(build_onnx(camera_chain(antialias=False), opset=opset))
    assert model.opset_import[0].version == opset


def test_a_free_size_is_refused():
    with pytest.raises(RecipeError, match="free size"):
        build_onnx(Chain(input=ImageSpec(), stages=(Resize(size=(8, 8)),)))


class Branching:
    """A network with a branch that looks at values outside of it, of an older opset."""

    def __init__(self, domain=""):
        left = helper.make_tensor_value_info("left", TensorProto.FLOAT, [1, 4, 4, 3])
        branches = {
            name: helper.make_graph(
                [helper.make_node(operator, inputs, ["left"])], name, [], [left]
            )
            for name, operator, inputs in (
                ("then_branch", "Neg", ["pixels"]),
                ("else_branch", "Add", ["pixels", "seven"]),
            )
        }
        nodes = [
            helper.make_node("Cast", ["x"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["pixels"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "seven"], ["bright"]),
            helper.make_node("If", ["bright"], ["y"], domain=domain, **branches),
        ]
        given = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4, 4, 3])
        leaving = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 4, 3])
        seven = onnx.numpy_helper.from_array(np.array(7, np.float32), "seven")
        graph = helper.make_graph(nodes, "branching", [given], [leaving], [seven])
        opsets = [helper.make_opsetid(name, 18) for name in {"", domain}]
        self.onnx = helper.make_model(graph, opset_imports=opsets).SerializeToString()


@dataclass(frozen=True, kw_only=True)
class Brings(Stage):
    name: ClassVar[str] = "brings"
    network: Branching

    def output(self, image):
        return image.replace(dtype="float32", range="normalized")

    def apply(self, F, x, image):
        return F.network(x, self.network)


def bringing(*networks):
    image = ImageSpec(height=4, width=4)
    return Chain(input=image, stages=tuple(Brings(network=network) for network in networks))


@pytest.mark.parametrize(("level", "expected"), [(9, -9), (3, 10)])
def test_a_network_with_branches_is_a_part_of_the_graph(level, expected):
    session = onnxruntime.InferenceSession(build_onnx(bringing(Branching())))
    picture = np.full((1, 4, 4, 3), level, np.uint8)
    assert (session.run(None, {"image": picture})[0] == expected).all()


def test_operators_that_not_every_engine_has_stay_out_of_the_graph():
    message = (
        "network: operators must be ONNX's own inside another graph, got the domain "
        "'com.microsoft'; leave the stage on the host"
    )
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        build_onnx(bringing(Branching(domain="com.microsoft")))
