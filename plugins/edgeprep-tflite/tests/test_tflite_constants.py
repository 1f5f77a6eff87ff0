"""Constants as published networks have them: layer scales and tokens, in float and in int8."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep_tflite import TFLiteExporter
from edgeprep_tflite._biases import flatten_biases
from edgeprep_tflite._engine import InterpreterRunner

MakeSource = Callable[..., NetworkSource]


class Scaled(nn.Module):
    """Two layers of every pixel, as ConvNeXt has them, and what they give times a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.wide = nn.Linear(8, 16)
        self.layer = nn.Linear(16, 6)
        self.scale = nn.Parameter(torch.linspace(0.5, 2, 6))

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        pixels = self.patches(preprocessed).permute(0, 2, 3, 1)
        return self.scale * self.layer(nn.functional.gelu(self.wide(pixels)))


class Token(nn.Module):
    """A vector that no picture gives in front of those that pictures give, and nothing added."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.linspace(-1, 1, 8).reshape(1, 1, 8))
        self.layer = nn.Linear(8, 6)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        patches = self.patches(preprocessed).flatten(2).transpose(1, 2)
        return self.layer(torch.cat((self.token, patches), 1).softmax(1))


def bias_shapes(content: bytes) -> list[list[int]]:
    """Of the layers of every pixel."""
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    kind = schema.BuiltinOperator.FULLY_CONNECTED
    return [
        list(graph.tensors[operator.inputs[2]].shape)
        for graph in file.subgraphs
        for operator in graph.operators
        if file.operatorCodes[operator.opcodeIndex].builtinCode == kind
    ]


@pytest.mark.parametrize("kind", [Scaled, Token], ids=["layer scale", "token"])
def test_int8_is_near_what_torch_computes(make_source: MakeSource, kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    source = make_source(kind().eval())
    content = TFLiteExporter().export(source, "int8").files["model.tflite"]
    runner = InterpreterRunner(content, threads=1)
    for picture in source.calibration[:4]:
        (expected,) = source.run(picture[np.newaxis])
        (found,) = runner.run((picture[np.newaxis],))
        # A few layers with 256 steps each.
        assert np.abs(found - expected).max() <= 0.06 * np.abs(expected).max()


def test_a_bias_is_a_vector_whatever_the_converter_makes_of_it(make_source: MakeSource) -> None:
    content = TFLiteExporter().export(make_source(Scaled().eval()), "fp32").files["model.tflite"]
    assert bias_shapes(content) == [[16], [6]]


def test_a_file_whose_biases_are_vectors_is_left_as_it_is(
    make_source: MakeSource,
) -> None:
    content = TFLiteExporter().export(make_source(Scaled().eval()), "fp32").files["model.tflite"]
    assert flatten_biases(content) is content
