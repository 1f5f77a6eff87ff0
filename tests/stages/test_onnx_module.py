"""ONNX models as torch modules: whole networks, and our own graphs."""

import io
import warnings
from copy import deepcopy
from functools import cache

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional

from edgeprep.stages.bilateral import Bilateral
from edgeprep.stages.canny import Canny
from edgeprep.stages.chain import Chain
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.color import Color
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.layout import Layout
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.linear import Linear
from edgeprep.stages.median import Median
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.onnx_module import OnnxModule
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec


class Denoiser(nn.Module):
    """Like DnCNN: the noise is what is computed."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(8, 3, 3, padding=1))

    def forward(self, x):
        picture = x.permute(0, 3, 1, 2).float() / 255
        return ((picture - self.noise(picture)).clamp(0, 1) * 255).permute(0, 2, 3, 1)


class UNet(nn.Module):
    """One level by ConvTranspose, one by interpolation; the borders are mirrored."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.PReLU(8))
        self.third = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 8, 3, padding=1, groups=8))
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1)
        self.last = nn.Conv2d(4 + 16, 3, 1)

    def forward(self, x):
        first = functional.leaky_relu(self.first(x.permute(0, 3, 1, 2).float() / 255), 0.1)
        second = self.second(first)
        joined = torch.cat([second, self.up(self.norm(self.third(second)))], 1)
        size = tuple(first.shape[-2:])
        wide = functional.interpolate(joined, size=size, mode="bilinear", align_corners=False)
        return self.last(torch.cat([first, wide], 1)).sigmoid(), joined.mean(dim=(2, 3))


class Curves(nn.Module):
    """Like Zero-DCE: a network of a small picture, whose curves brighten the large one."""

    def __init__(self):
        super().__init__()
        self.curves = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.Tanh()
        )

    def forward(self, x):
        picture = x.permute(0, 3, 1, 2).float() / 255
        small = functional.interpolate(picture, scale_factor=0.5, mode="bilinear")
        curves = functional.interpolate(self.curves(small), scale_factor=2, mode="nearest")
        for curve in torch.split(curves, 3, dim=1):
            picture = picture + curve * (picture**2 - picture)
        return picture


class SuperResolution(nn.Module):
    """Like ESPCN, on top of a bicubic enlargement."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 12, 3, padding=1)
        )

    def forward(self, x):
        picture = x.permute(0, 3, 1, 2).float() / 255
        enlarged = functional.interpolate(picture, scale_factor=2, mode="bicubic")
        return enlarged + functional.pixel_shuffle(self.layers(picture), 2)


class Attention(nn.Module):
    """Patches that look at each other, and come back as a picture."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.before, self.after = nn.LayerNorm(16), nn.LayerNorm(16)
        self.look, self.join = nn.Linear(16, 48), nn.Linear(16, 16)
        self.think = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.back = nn.Linear(16, 48)

    def forward(self, x):
        patches = self.patches(x.permute(0, 3, 1, 2).float() / 255)
        batch, _, rows, columns = patches.shape
        tokens = patches.flatten(2).transpose(1, 2)
        parts = self.look(self.before(tokens)).reshape(batch, rows * columns, 3, 2, 8)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.join(seen.transpose(1, 2).reshape(batch, rows * columns, 16))
        tokens = tokens + self.think(self.after(tokens))
        drawn = self.back(tokens).reshape(batch, rows, columns, 4, 4, 3)
        return drawn.permute(0, 1, 3, 2, 4, 5).reshape(batch, rows * 4, columns * 4, 3)


NETWORKS = (Denoiser, UNet, Curves, SuperResolution, Attention)
PICTURES = np.random.default_rng(1).integers(0, 256, (1, 24, 32, 3), dtype=np.uint8)


def to_onnx(network):
    with warnings.catch_warnings():
        # torch.export warns about itself, by way of copyreg.
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
        program = torch.onnx.export(
            network, (torch.from_numpy(PICTURES),), dynamo=True, verbose=False, opset_version=20
        )
    return program.model_proto.SerializeToString()


@cache
def exported(kind):
    """ONNX by torch, made once."""
    return to_onnx(original(kind))


@cache
def original(kind):
    """A network with weights and statistics that are not what every layer starts with."""
    torch.manual_seed(0)
    network = kind().train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.from_numpy(np.roll(PICTURES, 3, axis=1)))
    return network.eval()


def run(model, *values):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, values, strict=True)))


def outputs_of(network, picture=PICTURES):
    with torch.no_grad():
        made = network(torch.from_numpy(picture))
    return [value.numpy() for value in (made if isinstance(made, tuple) else (made,))]


def assert_close(found, expected):
    assert [value.shape for value in found] == [value.shape for value in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_computes_what_its_source_computes(kind):
    assert_close(outputs_of(OnnxModule(exported(kind))), outputs_of(original(kind)))


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_by_the_older_exporter_computes_what_its_source_computes(kind):
    file = io.BytesIO()
    with warnings.catch_warnings():
        # torch has deprecated it, and it traces; its graphs work out sizes that are constant.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        warnings.filterwarnings("ignore", ".*operator 'instance_norm' is set to train", UserWarning)
        picture = torch.from_numpy(PICTURES)
        torch.onnx.export(original(kind), (picture,), file, dynamo=False, opset_version=17)
    assert_close(outputs_of(OnnxModule(file.getvalue())), outputs_of(original(kind)))


@pytest.mark.parametrize("kind", [UNet, SuperResolution])
def test_a_network_is_exported_to_onnx_again(kind):
    again = to_onnx(OnnxModule(exported(kind)))
    assert_close(run(again, PICTURES), outputs_of(original(kind)))


@pytest.mark.parametrize("kind", [UNet, SuperResolution])
def test_a_network_is_exported_to_litert(kind):
    import litert_torch  # here, as it takes long to import

    module = OnnxModule(exported(kind))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
        found = litert_torch.convert(module, (torch.from_numpy(PICTURES),))(PICTURES)
    assert_close(found if isinstance(found, list | tuple) else [found], outputs_of(original(kind)))


def test_a_network_is_exported_to_openvino():
    picture = torch.from_numpy(PICTURES)
    with warnings.catch_warnings():
        # openvino traces with torch.jit, which torch has deprecated. A trace that takes a size
        # for a tensor warns of it as well, which is not wanted, and so is an error here.
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        model = openvino.convert_model(
            OnnxModule(exported(UNet)), example_input=(picture,), input=[PICTURES.shape]
        )
    # The CPU's default of bfloat16 alone is 1/256 off.
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert_close(list(compiled(PICTURES).values()), outputs_of(original(UNet)))


def test_functions_of_a_model_are_unfolded():
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    function = helper.make_function("local", "Twice", ["a"], ["b"], body, opsets[:1])
    given, left = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (2,)) for name in "xy")
    node = helper.make_node("Twice", ["x"], ["y"], domain="local")
    graph = helper.make_graph([node], "graph", [given], [left])
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)
    (found,) = OnnxModule(model.SerializeToString())(torch.tensor([1.0, 3.0]))
    assert found.tolist() == [2, 6]


def test_constants_move_with_the_module_and_are_no_state():
    module = OnnxModule(exported(UNet))
    assert module.state_dict() == {}
    assert list(module.parameters()) == []
    assert {buffer.device.type for buffer in module.to("meta").buffers()} == {"meta"}


def test_a_module_travels_and_is_copied():
    module = OnnxModule(exported(UNet))
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for other in (torch.load(file, weights_only=False), deepcopy(module)):
        assert np.array_equal(outputs_of(other)[0], outputs_of(module)[0])


def test_values_are_let_go_after_their_last_use():
    module = OnnxModule(exported(Denoiser))
    made = [name for node in module.nodes for name in node.outputs]
    let_go = [name for _, _, done in module._wiring for name in done]
    assert sorted([*let_go, *module._outputs]) == sorted([*made, *module._inputs])


WHOLE = {
    "median": Median(size=3),
    "equalize": Equalize(),
    "clahe": Clahe(grid=(2, 3)),
    "canny": Canny(steps=4),
    "flip and colour": Color(to="bgr"),
}
FLOAT = {
    "antialiased": Resize(size=(17, 23)),
    "bilinear": Resize(size=(37, 43), antialias=False),
    "bicubic": Resize(size=(17, 43), method="bicubic"),
    "area": Resize(size=(17, 43), method="area"),
    "letterbox": Letterbox(size=(40, 40)),
    "bilateral": Bilateral(sigma_color=30, sigma_space=3),
    "linear light": Linear(),
}


def graph_of(*stages):
    height, width = PICTURES.shape[1:3]
    return build_onnx(Chain(input=ImageSpec(height=height, width=width), stages=stages))


@pytest.mark.parametrize("stage", WHOLE.values(), ids=WHOLE)
def test_a_graph_of_whole_levels_gives_the_same_levels(stage):
    model = graph_of(stage)
    np.testing.assert_array_equal(outputs_of(OnnxModule(model)), run(model, PICTURES))


@pytest.mark.parametrize("stage", FLOAT.values(), ids=FLOAT)
def test_a_graph_in_float_gives_the_same_levels_but_for_rounding(stage):
    model = graph_of(stage)
    assert_close(outputs_of(OnnxModule(model)), run(model, PICTURES))


def test_a_whole_preprocessing_gives_the_same_pictures():
    normalize = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    model = graph_of(Resize(size=(21, 30)), Clahe(grid=(3, 2)), normalize, Layout())
    # NOTE: a level more or less, where the resize rounds to another one, is 0.018.
    found, expected = outputs_of(OnnxModule(model)), run(model, PICTURES)
    assert_close(found, expected)
