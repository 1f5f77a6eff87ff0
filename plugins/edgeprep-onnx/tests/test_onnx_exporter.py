"""The exporter: what it writes computes what torch computes, and is what it says it is."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep_onnx import OnnxExporter, _ranges

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

Load = Callable[[Model], Runner]
MakeSource = Callable[..., NetworkSource]


def graph_of(model: Model) -> onnx.GraphProto:
    return onnx.load_from_string(model.files["model.onnx"]).graph


def answers(runner: Runner, samples: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """Each output over all samples."""
    results = [runner.run([sample[np.newaxis]]) for sample in samples]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def truths(source: NetworkSource, samples: NDArray[np.uint8]) -> list[NDArray[Any]]:
    results = [source.run(sample[np.newaxis]) for sample in samples]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def relative(answer: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(np.abs(answer - truth).max() / np.abs(truth).max())


def signal_to_noise(answer: NDArray[Any], truth: NDArray[Any]) -> float:
    """In dB."""
    return float(10 * np.log10(np.square(truth).sum() / np.square(answer - truth).sum()))


def weight_types(model: Model) -> dict[str, str]:
    """The element type in which the weight of each layer is stored."""
    types = {}
    for tensor in graph_of(model).initializer:
        name = tensor.name.removesuffix("_quantized")
        if name.endswith(".weight"):
            layer = name.removeprefix("network.").removesuffix(".weight")
            types[layer] = TensorProto.DataType.Name(tensor.data_type)
    return types


def test_the_truth_is_no_weak_oracle(
    source: NetworkSource, hard_samples: NDArray[np.uint8]
) -> None:
    for truth in truths(source, hard_samples):
        assert np.linalg.norm(truth) > 1
        assert len(np.unique(truth.reshape(len(truth), -1)[:, 0])) == len(hard_samples)


def test_fp32_computes_what_torch_computes(
    source: NetworkSource,
    models: dict[Precision, Model],
    load: Load,
    hard_samples: NDArray[np.uint8],
) -> None:
    found = answers(load(models["fp32"]), hard_samples)
    # The bound for float parity of the whole project; orders of summation differ.
    for answer, truth in zip(found, truths(source, hard_samples), strict=True):
        assert relative(answer, truth) <= 1e-4


def test_fp16_computes_what_torch_computes_within_half_precision(
    source: NetworkSource,
    models: dict[Precision, Model],
    load: Load,
    hard_samples: NDArray[np.uint8],
) -> None:
    found = answers(load(models["fp16"]), hard_samples)
    # Weights and activations are each rounded by up to 2**-11 in each of five layers; the roundings
    # add at worst.
    for answer, truth in zip(found, truths(source, hard_samples), strict=True):
        assert 1e-6 < relative(answer, truth) <= 5 * 2 * 2**-11


def test_int8_computes_what_torch_computes_within_256_steps(
    source: NetworkSource,
    models: dict[Precision, Model],
    load: Load,
    hard_samples: NDArray[np.uint8],
) -> None:
    found = answers(load(models["int8"]), hard_samples)
    # Uniform steps over the whole range: 6 dB a bit, less 10 for peaks of ten times the variance;
    # ten roundings (weights and activations of five layers) take another 10.
    for answer, truth in zip(found, truths(source, hard_samples), strict=True):
        assert 28 <= signal_to_noise(answer, truth) < 80


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_graph_takes_pictures_and_gives_the_named_outputs(
    source: NetworkSource, models: dict[Precision, Model], load: Load, precision: Precision
) -> None:
    runner = load(models[precision])
    assert runner.inputs == (source.input,)
    assert runner.outputs == source.outputs


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_preprocessing_is_float32_at_every_precision(
    source: NetworkSource,
    models: dict[Precision, Model],
    hard_samples: NDArray[np.uint8],
    precision: Precision,
) -> None:
    model = onnx.load_from_string(models[precision].files["model.onnx"])
    name = "preprocessing/preprocessed"
    shape = source.network_input.shape
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    alone = InferenceSession(source.preprocessing_onnx, providers=["CPUExecutionProvider"])
    for sample in hard_samples:
        feed = {"image": sample[np.newaxis]}
        np.testing.assert_array_equal(session.run([name], feed), alone.run(None, feed))


def test_int8_stores_the_weights_of_every_layer_in_int8(models: dict[Precision, Model]) -> None:
    layers = ("stem.0", "body.0", "body.2", "head", "mask")
    assert weight_types(models["int8"]) == dict.fromkeys(layers, "INT8")
    assert weight_types(models["fp32"]) == dict.fromkeys(layers, "FLOAT")


def test_int8_scales_weights_by_channel(models: dict[Precision, Model]) -> None:
    sizes = {one.name: tuple(one.dims) for one in graph_of(models["int8"]).initializer}
    channels = {"stem.0": 8, "body.0": 8, "body.2": 12, "head": 5, "mask": 2}
    assert {layer: sizes[f"network.{layer}.weight_scale"] for layer in channels} == {
        layer: (count,) for layer, count in channels.items()
    }


def test_int8_leaves_the_scores_in_float_and_the_mask_in_256_steps(
    models: dict[Precision, Model],
) -> None:
    # A convolution without quantization behind it would run in float.
    producers = {
        name: node.op_type for node in graph_of(models["int8"]).node for name in node.output
    }
    assert producers["scores"] == "Gemm"
    assert producers["mask"] == "DequantizeLinear"


@pytest.mark.parametrize(
    ("keep_float", "in_float"),
    [
        pytest.param(("body.2",), {"body.2"}, id="a layer"),
        pytest.param(("stem.0",), {"stem.0"}, id="a convolution with a batch norm folded in"),
        pytest.param(("stem.1",), {"stem.0"}, id="a batch norm folded into a convolution"),
        pytest.param(("body",), {"body.0", "body.2"}, id="all layers of a module"),
        pytest.param(("head", "mask"), {"head", "mask"}, id="several"),
        pytest.param(("body.1",), set(), id="an activation"),
    ],
)
def test_int8_keeps_modules_in_float(
    source: NetworkSource, keep_float: tuple[str, ...], in_float: set[str]
) -> None:
    types = weight_types(OnnxExporter().export(source.keeping(keep_float), "int8"))
    assert {layer for layer, kind in types.items() if kind == "FLOAT"} == in_float


def test_what_is_kept_in_float_is_more_exact(
    source: NetworkSource, load: Load, hard_samples: NDArray[np.uint8]
) -> None:
    # The mask is the last layer of its own: with it in float, its output is no longer rounded.
    truth = truths(source, hard_samples)[1]
    noise = [
        signal_to_noise(
            answers(load(OnnxExporter().export(source.keeping(kept), "int8")), hard_samples)[1],
            truth,
        )
        for kept in ((), ("mask",), ("mask", "body", "stem"))
    ]
    assert noise == sorted(noise)
    assert noise[-1] > 100


def test_a_search_for_layers_to_keep_calibrates_once(
    source: NetworkSource, models: dict[Precision, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(_ranges, "create_calibrator")
    assert OnnxExporter().export(source.keeping(("head",)), "int8") != models["int8"]
    assert OnnxExporter().export(source, "int8") == models["int8"]


def test_other_samples_are_calibrated_anew(
    source: NetworkSource, make_source: MakeSource, models: dict[Precision, Model]
) -> None:
    other = make_source(calibration=source.calibration // 2)
    vars(other._made)["network_onnx"] = source.network_onnx  # exported once, to save time
    assert OnnxExporter().export(other, "int8") != models["int8"]


def test_int8_is_at_most_0_35_of_float_where_weights_dominate(make_source: MakeSource) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3, 4, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 512, 3, 2), nn.ReLU(), nn.Conv2d(512, 512, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2400), nn.ReLU(),
        nn.Linear(2400, 500),
    )  # fmt: skip
    assert sum(weight.numel() for weight in network.parameters()) > 2.9e6
    source = make_source(network.eval())
    exporter = OnnxExporter()
    size = {kind: exporter.export(source, kind).size_bytes for kind in exporter.precisions}
    assert size["int8"] <= 0.35 * size["fp32"]
    assert size["fp16"] <= 0.51 * size["fp32"]


@pytest.mark.parametrize("opset", [18, 19, 21, 22, 23])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_another_opset_computes_the_same(
    source: NetworkSource,
    models: dict[Precision, Model],
    load: Load,
    hard_samples: NDArray[np.uint8],
    opset: int,
    precision: Precision,
) -> None:
    model = OnnxExporter(opset=opset).export(source, precision)
    read = onnx.load_from_string(model.files["model.onnx"])
    assert [(entry.domain, entry.version) for entry in read.opset_import] == [("", opset)]
    expected = answers(load(models[precision]), hard_samples)
    for answer, truth in zip(answers(load(model), hard_samples), expected, strict=True):
        assert relative(answer, truth) <= 1e-5


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_file_holds_nothing_of_the_machine_that_wrote_it(
    models: dict[Precision, Model], precision: Precision
) -> None:
    content = models[precision].files["model.onnx"]
    onnx.checker.check_model(content, full_check=True)
    assert b".py" not in content
    assert b"torch" not in content
    # What opset 20 needs; an older reader takes it too.
    assert onnx.load_from_string(content).ir_version == 9


def test_quantizing_writes_to_the_scratch_directory_alone(
    source: NetworkSource,
    models: dict[Precision, Model],
    make_source: MakeSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fresh = make_source()
    vars(fresh._made)["network_onnx"] = source.network_onnx
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
        patch.chdir(tmp_path)
        assert OnnxExporter().export(fresh, "int8") == models["int8"]
    assert list(tmp_path.iterdir()) == []
    assert [path.suffix for path in fresh.scratch.iterdir()] == [".json"]


def test_quantizing_prints_nothing(
    source: NetworkSource,
    models: dict[Precision, Model],
    make_source: MakeSource,
    capfd: pytest.CaptureFixture[str],
) -> None:
    fresh = make_source()
    vars(fresh._made)["network_onnx"] = source.network_onnx
    assert OnnxExporter().export(fresh, "int8") == models["int8"]
    assert capfd.readouterr() == ("", "")
