"""What exporters start from is made once, however many ways of quantizing are tried."""

from pathlib import Path

import numpy as np
import onnx.parser
import pytest
import torch

from edgeprep.conversion import source as module
from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Quantization
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.tensors import ImageSpec


def test_a_network_is_exported_once_for_all_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = []

    class Program:
        model_proto = onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 20]>'
            "g (float[1, 3] inside) => (float[1, 3] output) { output = Relu(inside) }"
        )

    def export(*args: object, **options: object) -> type[Program]:
        exports.append(args)
        return Program

    monkeypatch.setattr(module.torch.onnx, "export", export)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.Flatten())
    chain = Chain(input=ImageSpec(height=2, width=2), stages=(DType(), Layout(to="nchw")))
    calibration = np.zeros((3, 2, 2, 3), np.uint8)
    source = NetworkSource(network.eval(), chain, calibration, scratch=tmp_path)
    trials = [
        source.keeping(("0",)),
        source.keeping(()).quantized_by(Quantization(calibrator="mse")),
    ]
    assert len({trial.network_onnx for trial in trials}) == 1
    assert len(exports) == 1
    assert trials[0].calibration_preprocessed is trials[1].calibration_preprocessed
    assert [trial.keep_float for trial in trials] == [("network.0",), ()]
    assert [trial.quantization.calibrator for trial in trials] == ["min-max", "mse"]
    # A network after another pass is another one.
    other = NetworkSource(network, chain, calibration, scratch=tmp_path)
    assert other.network_onnx == trials[0].network_onnx
    assert len(exports) == 2
