"""Shapes shrink in every exported file, and each computes what the pruned network computes."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import openvino
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edgeprep.compress.prune import Prune
from edgeprep.interfaces import Model
from edgeprep.registry import Registry


def onnx_sizes(model: Model) -> list[int]:
    graph = onnx.load_from_string(model.files["model.onnx"]).graph
    return [int(np.prod(tensor.dims)) for tensor in graph.initializer]


def openvino_sizes(model: Model) -> list[int]:
    read = openvino.Core().read_model(model.files["model.xml"], model.files["model.bin"])
    constants = [node for node in read.get_ops() if node.get_type_name() == "Constant"]
    return [int(np.prod(node.shape)) for node in constants]


def tflite_sizes(model: Model) -> list[int]:
    interpreter = Interpreter(model_content=model.files["model.tflite"])
    return [int(np.prod(tensor["shape"])) for tensor in interpreter.get_tensor_details()]


SIZES: Mapping[str, Callable[[Model], list[int]]] = {
    "onnx": onnx_sizes,
    "openvino": openvino_sizes,
    "tflite": tflite_sizes,
}


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, stride=2, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, groups=24),
        nn.Conv2d(24, 56, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(56, 3),
    ).eval()


@pytest.mark.parametrize("name", SIZES)
def test_weights_in_the_file_are_those_of_the_pruned_network(name, workbench):
    torch.manual_seed(0)
    bench = workbench(network())
    pruned = Prune(ratio=0.5).apply(network(), bench)
    source = workbench(pruned).source
    registry = Registry()

    model = registry.get("exporter", name)().export(source, "fp32")

    # 12 is no multiple of 8, of which 8 and 16 are as near; so are 24 and 32 to 28.
    wanted = {16 * 3 * 3 * 3, 16 * 3 * 3, 32 * 16, 32 * 3}
    assert wanted == {p.numel() for p in pruned.parameters() if p.ndim > 1}
    sizes = SIZES[name](model)
    assert wanted <= set(sizes)
    # The preprocessing has a few constants of its own; activations are numbered as well in TFLite.
    assert {24 * 27, 24 * 9, 56 * 24, 56 * 3}.isdisjoint(sizes)
    (backend,) = (cls for cls in registry.classes("backend") if name in cls.formats)
    device = backend().devices()[0]
    runner = backend().load(model, device, backend().options(device, "fp32")[0])
    image = source.calibration[:1]
    (expected,) = source.run(image)
    # Engines add up in another order.
    np.testing.assert_allclose(runner.run((image,))[0], expected, atol=1e-5)
    runner.close()
