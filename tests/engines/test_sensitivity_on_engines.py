"""What simulated INT8 says of layers, held to engines that compute in integers."""

import ast
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_static
from torch import Tensor, nn

from edgeprep.bundle import open_bundle
from edgeprep.compress.sensitivity import rank_layers
from edgeprep.conversion import convert
from edgeprep.conversion.sensitivity import analyze
from edgeprep.interfaces import Model, Quantization
from edgeprep.recipe import load_recipe


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


class Residual(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(3)))
        self.head = nn.Linear(channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def residual(seed: int) -> nn.Module:
    """Layers whose channels have ranges of their own."""
    torch.manual_seed(seed)
    network = Residual().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.copy_(torch.rand(8) * 2 + 0.2)
                module.weight.copy_(torch.randn(8).abs() + 0.3)
            elif isinstance(module, nn.Conv2d):
                spread = torch.exp(torch.randn(len(module.weight)) * torch.rand(1))
                module.weight *= spread[:, None, None, None]
    return network


class Samples:
    """The samples one by one, in the form of onnxruntime's `CalibrationDataReader`."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self.feeds = iter([{"x": one[None]} for one in inputs])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.feeds, None)


def export(network: nn.Module, inputs: NDArray[np.float32], path: Path) -> onnx.ModelProto:
    program = torch.onnx.export(
        network,
        (torch.from_numpy(inputs[:1]),),
        dynamo=True,
        external_data=False,
        opset_version=20,
        input_names=["x"],
        verbose=False,
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for index, node in enumerate(model.graph.node):
        node.name = f"{index}/{node.op_type}"
    onnx.save(model, path)
    return model


def nodes_of(path: str, model: onnx.ModelProto) -> list[str]:
    """The nodes of one module and not of those inside it, with the activation behind them."""
    weights = {one.name.rpartition(".")[0] for one in model.graph.initializer}
    names, values = [], set()
    for node in model.graph.node:
        owners = [one.rpartition(".")[0] for one in node.input]
        owner = next((one for one in owners if one and one in weights), None) or scope(node)
        if owner == path or (node.op_type == "Relu" and node.input[0] in values):
            names.append(node.name)
            values.update(node.output)
    return names


def scope(node: onnx.NodeProto) -> str:
    (scopes,) = (one.value for one in node.metadata_props if one.key.endswith("name_scopes"))
    return str(ast.literal_eval(scopes)[-2])


def run(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    return np.concatenate([session.run(None, {"x": one[None]})[0] for one in inputs])


def ranks(values: Mapping[str, float]) -> NDArray[np.intp]:
    return np.argsort(np.argsort([values[path] for path in sorted(values)]))


# torch.onnx says of its own decompositions that they are deprecated.
@pytest.mark.filterwarnings("ignore:.*isinstance.*LeafSpec:FutureWarning")
@pytest.mark.parametrize("seed", [0, 1])
def test_layers_rank_as_they_do_when_onnx_runtime_quantizes_each_alone(seed, tmp_path, monkeypatch):
    # The quantizer warns through the root logger that the model was not preprocessed.
    monkeypatch.setattr(logging.getLogger(), "level", logging.ERROR)
    network = residual(seed)
    inputs = np.random.default_rng(seed).standard_normal((12, 3, 8, 8)).astype(np.float32)
    # All of int8, as the quantizer below takes it.
    costs = rank_layers(network, inputs, policy=Quantization(weight_range="full"))
    simulated = {cost.path: cost.snr_db for cost in costs}
    model = export(network, inputs, tmp_path / "float.onnx")
    expected = run(tmp_path / "float.onnx", inputs)
    measured = {}
    for path in simulated:
        quantize_static(
            tmp_path / "float.onnx",
            tmp_path / "int8.onnx",
            Samples(inputs),
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_quantize=nodes_of(path, model),
        )
        noise = expected - run(tmp_path / "int8.onnx", inputs)
        measured[path] = 10 * np.log10(np.square(expected).sum() / np.square(noise).sum())
    found = np.corrcoef(ranks(simulated), ranks(measured))[0, 1]
    assert len(measured) == 11
    # Layers of nearly the same cost may change places.
    assert found > 0.9
    # Noise is random: within a factor of two, most often much less.
    assert max(abs(simulated[path] - measured[path]) for path in simulated) < 6


MODEL = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
        self.wide = torch.nn.Conv2d(8, 16, 3)
        self.narrow = torch.nn.Conv2d(16, 12, 1)
        self.head = torch.nn.Linear(12, 3)
        # What lies between the two has channels from 1 to 10,000, in one range.
        scales = torch.logspace(0, 4, 16)
        with torch.no_grad():
            self.wide.weight *= scales[:, None, None, None]
            self.wide.bias *= scales
            self.narrow.weight /= scales[None, :, None, None]

    def forward(self, x):
        x = torch.relu(self.narrow(torch.relu(self.wide(self.stem(x)))))
        return self.head(x.mean((2, 3)))


def build():
    return Net()


def pictures():
    import numpy as np

    random = np.random.default_rng(0)
    for index in range(24):
        yield random.integers(0, 256, (12, 12, 3), dtype=np.uint8), index % 3
"""

RECIPE = """
name = "hostile"

[model]
factory = "model:build"

[task]
use    = "classify"
labels = ["a", "b", "c"]

[[preprocess]]
use  = "resize"
size = [12, 12]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]

[data]
calibration = { factory = "model:pictures" }

[[target]]
format    = "onnx"
precision = ["int8"]
[[target]]
format    = "openvino"
precision = ["int8"]
[[target]]
format    = "tflite"
precision = ["int8"]
"""

# By how many values the weight of each layer has, which is the same in every format.
LAYERS = {216: "stem.0", 1152: "wide", 192: "narrow", 36: "head"}


def in_onnx(model: Model) -> dict[str, bool]:
    tensors = onnx.load_model_from_string(model.files["model.onnx"]).graph.initializer
    return {
        LAYERS[int(np.prod(one.dims))]: one.data_type == onnx.TensorProto.INT8
        for one in tensors
        if int(np.prod(one.dims)) in LAYERS
    }


def in_openvino(model: Model) -> dict[str, bool]:
    weights = ov.Tensor(np.frombuffer(model.files["model.bin"], np.uint8))
    graph = ov.Core().read_model(model=model.files["model.xml"], weights=weights)
    constants = [one for one in graph.get_ops() if one.get_type_name() == "Constant"]
    sizes = [(int(np.prod(one.get_output_shape(0))), one) for one in constants]
    return {
        LAYERS[size]: one.get_element_type() == ov.Type.i8 for size, one in sizes if size in LAYERS
    }


def in_tflite(model: Model) -> dict[str, bool]:
    file = flatbuffer_utils.read_model_from_bytearray(bytearray(model.files["model.tflite"]))
    (graph,) = file.subgraphs
    constants = [one for one in graph.tensors if file.buffers[one.buffer].data is not None]
    sizes = [(int(np.prod(one.shape)), one) for one in constants if one.shape is not None]
    return {
        LAYERS[size]: one.type == schema.TensorType.INT8 for size, one in sizes if size in LAYERS
    }


IN: dict[str, Callable[[Model], dict[str, bool]]] = {
    "onnx": in_onnx,
    "openvino": in_openvino,
    "tflite": in_tflite,
}


def test_the_block_that_is_proposed_keeps_the_same_layers_in_float_in_every_format(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    report = analyze(load_recipe(recipe), threshold_db=30)
    assert report.snr_db < 30
    assert report.kept_snr_db is not None
    assert report.kept_snr_db > 30
    assert set(report.keep_float) == {"wide", "narrow"}
    recipe.write_text(f"{RECIPE}\n{report.block}\n")
    convert(recipe, tmp_path / "hostile.edgeprep")
    bundle = open_bundle(tmp_path / "hostile.edgeprep")
    expected = {"stem.0": True, "wide": False, "narrow": False, "head": True}
    found = {one.format: IN[one.format](bundle.model(one)) for one in bundle.manifest.variants}
    assert found == dict.fromkeys(IN, expected)
