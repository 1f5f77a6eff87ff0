"""The exporter: what it writes computes what torch computes, by either road."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from openvino.frontend import OpConversionFailure
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ExportError
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep.tensors import TensorSpec
from edgeprep_openvino import OpenVINOExporter
from edgeprep_openvino._export import ROADS, export

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)


def relative(answer: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(answer - truth).max() / np.abs(truth).max())


# float16 has 11 bits: weights are off by up to 2^-11 = 4.9e-4 of themselves, over four layers.
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 2e-3)])
def test_float_computes_what_torch_computes(
    precision: Precision,
    tolerance: float,
    make_source: Callable[..., NetworkSource],
    load: Callable[[Model], Runner],
    hard_pictures: dict[str, np.ndarray],
) -> None:
    source = make_source()
    runner = load(OpenVINOExporter().export(source, precision))
    for name, picture in hard_pictures.items():
        for answer, truth in zip(runner.run([picture]), source.run(picture), strict=True):
            assert relative(answer, truth) <= tolerance, name


def test_float_needs_no_calibration_samples_and_int8_says_so(
    make_source: Callable[..., NetworkSource],
    load: Callable[[Model], Runner],
    hard_pictures: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_source()
    monkeypatch.setattr(source._made, "calibration", source.calibration[:0])
    runner = load(OpenVINOExporter().export(source, "fp32"))
    for picture in hard_pictures.values():
        assert relative(runner.run((picture,))[0], source.run(picture)[0]) <= 1e-4
    rule = r"^exporter 'openvino': int8 needs calibration samples, got 0$"
    with pytest.raises(ExportError, match=rule):
        OpenVINOExporter().export(source, "int8")


@pytest.mark.parametrize("precision", OpenVINOExporter.precisions)
def test_the_ends_are_named_shaped_and_ordered_as_the_source_says(
    precision: Precision,
    make_source: Callable[..., NetworkSource],
    load: Callable[[Model], Runner],
) -> None:
    source = make_source()
    runner = load(OpenVINOExporter().export(source, precision))
    assert runner.inputs == (TensorSpec(name="image", shape=(1, 21, 17, 3), dtype="uint8"),)
    assert runner.outputs == (
        TensorSpec(name="scores", shape=(1, 5), dtype="float32"),
        TensorSpec(name="heat", shape=(1, 8, 8), dtype="float32"),
    )


@pytest.mark.parametrize("precision", OpenVINOExporter.precisions)
def test_the_same_source_gives_the_same_bytes(
    precision: Precision, make_source: Callable[..., NetworkSource]
) -> None:
    source = make_source()
    exporter = OpenVINOExporter()
    assert exporter.export(source, precision) == exporter.export(source, precision)


def test_nothing_is_left_in_the_scratch_folder(make_source: Callable[..., NetworkSource]) -> None:
    source = make_source()
    OpenVINOExporter().export(source, "fp16")
    export(source, "int8", {"onnx": ROADS["onnx"]})
    assert list(source.scratch.iterdir()) == []


def test_half_precision_leaves_the_preprocessing_in_float32(
    make_source: Callable[..., NetworkSource], read: Callable[[Model], Any]
) -> None:
    model = read(OpenVINOExporter().export(make_source(), "fp16"))
    halves = {
        node.friendly_name.startswith("preprocessing/")
        for node in model.get_ops()
        if node.get_type_name() == "Constant"
        and str(node.get_element_type()) == "<Type: 'float16'>"
    }
    assert halves == {False}


class Twice(nn.Module):
    """The same tensor under two names, and the input as an output."""

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        halves = preprocessed / 2
        return {"one": halves, "other": halves, "input": preprocessed}


def test_outputs_that_are_the_same_tensor_keep_their_names(
    make_source: Callable[..., NetworkSource], load: Callable[[Model], Runner]
) -> None:
    source = make_source(Twice())
    runner = load(OpenVINOExporter().export(source, "fp32"))
    assert runner.outputs == source.outputs
    picture = source.calibration[:1]
    for answer, truth in zip(runner.run([picture]), source.run(picture), strict=True):
        assert relative(answer, truth) <= 1e-4


class Pointwise(nn.Module):
    """One operation on the pixels, then their mean."""

    def __init__(self, operation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        return self.operation(preprocessed).mean((2, 3))


def test_what_openvino_cannot_trace_is_read_from_onnx(
    make_source: Callable[..., NetworkSource],
    load: Callable[[Model], Runner],
    hard_pictures: dict[str, np.ndarray],
) -> None:
    # openvino 2026.4 has no rule for aten::hardshrink; torch decomposes it for ONNX.
    source = make_source(Pointwise(nn.functional.hardshrink))
    with pytest.raises(OpConversionFailure, match=r"No conversion rule .* aten::hardshrink"):
        ROADS["torch"](source)
    runner = load(OpenVINOExporter().export(source, "fp32"))
    for picture in hard_pictures.values():
        assert relative(runner.run([picture])[0], source.run(picture)[0]) <= 1e-4


def test_what_no_road_converts_is_an_error_that_names_them_all(
    make_source: Callable[..., NetworkSource],
) -> None:
    source = make_source(Pointwise(lambda pixels: torch.hypot(pixels, pixels + 1)))
    with pytest.raises(
        ExportError,
        match=(
            r"^exporter 'openvino': the network must convert by one of \('torch', 'onnx'\), got "
            r"torch: \"Model wasn't fully converted\. "
            r"Summary: -- No conversion rule found for operations: aten::hypot\", "
            r"onnx: \"No ONNX function found for <OpOverload\(op='prims\.hypot', .*\"$"
        ),
    ):
        OpenVINOExporter().export(source, "fp32")


def test_a_conversion_that_computes_something_else_is_not_taken(
    make_source: Callable[..., NetworkSource], load: Callable[[Model], Runner]
) -> None:
    source = make_source(Pointwise(torch.abs))
    other = ROADS["torch"](make_source(Pointwise(torch.square)))
    model = export(source, "fp32", {"wrong": lambda _source: other, "torch": ROADS["torch"]})
    assert (
        relative(
            load(model).run([source.calibration[:1]])[0], source.run(source.calibration[:1])[0]
        )
        <= 1e-4
    )


def test_the_reason_against_a_conversion_that_computes_something_else(
    make_source: Callable[..., NetworkSource],
) -> None:
    # |2x| is off by the whole of |x|: 1.
    other = ROADS["torch"](make_source(Pointwise(lambda pixels: pixels.abs() * 2)))
    with pytest.raises(
        ExportError,
        match=(
            r"^exporter 'openvino': the network must convert by one of \('wrong',\), got "
            r"wrong: \"output 'output' must be within 0\.0001 of torch's, got 1\"$"
        ),
    ):
        export(make_source(Pointwise(torch.abs)), "fp32", {"wrong": lambda _source: other})


def test_a_conversion_that_was_traced_for_its_example_alone_is_not_taken(
    make_source: Callable[..., NetworkSource],
) -> None:
    samples = make_source().calibration_preprocessed
    threshold = float(samples[[0, -1]].mean())
    branch = Pointwise(lambda pixels: pixels if pixels.mean() > threshold else -pixels)
    with pytest.raises(ExportError, match=r"got torch: \"output 'output' must be within 0\.0001"):
        OpenVINOExporter().export(make_source(branch), "fp32")
