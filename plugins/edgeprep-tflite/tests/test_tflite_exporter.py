"""The exporter: its files compute what torch computes, and are made of what they should be."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ExportError
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep.tensors import TensorSpec
from edgeprep_tflite import TFLiteExporter, _export

TYPES = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}

# By the shape of their weights, as TFLite has it.
LAYERS = {
    (8, 3, 3, 3): "stem.0",
    (12, 3, 3, 8): "left.0.0",
    (12, 5, 5, 8): "right.0.0",
    (10, 12): "head",
    (5, 1, 1, 12): "heat",
}

Load = Callable[[Model], Runner]
MakeSource = Callable[..., NetworkSource]


def relative(answer: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(np.linalg.norm(answer - truth) / np.linalg.norm(truth))


def read(model: Model) -> Any:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(model.files["model.tflite"]))


def operators(model: Model) -> list[str]:
    file = read(model)
    (graph,) = file.subgraphs
    return [OPERATORS[file.operatorCodes[op.opcodeIndex].builtinCode] for op in graph.operators]


def weight_types(model: Model) -> dict[str, str]:
    """How the weights of each layer are stored."""
    file = read(model)
    (graph,) = file.subgraphs
    constants = [t for t in graph.tensors if file.buffers[t.buffer].data is not None]
    shapes = [(tuple(constant.shape), TYPES[constant.type]) for constant in constants]
    return {LAYERS[shape]: kind for shape, kind in shapes if shape in LAYERS}


def preprocessing_types(model: Model) -> set[str]:
    (graph,) = read(model).subgraphs
    return {
        TYPES[tensor.type]
        for tensor in graph.tensors
        if tensor.name.startswith(b"preprocessing") and not tensor.name.endswith(b"_quantized")
    }


@pytest.mark.parametrize("picture", ["black", "white", "ramp", "noise"])
@pytest.mark.parametrize(
    ("precision", "allowed"),
    [
        # Sums in another order.
        ("fp32", 1e-5),
        # Weights are rounded to 11 bits, by 4.9e-4 at most; five layers in a row at worst.
        ("fp16", 2.5e-3),
        # 255 steps for the span of an activation, so half a step is 2e-3 of it. What it is of the
        # activation depends on the picture; a step in each of five layers is generous.
        ("int8", 4e-2),
    ],
)
def test_a_file_computes_what_torch_computes(
    precision: Precision,
    allowed: float,
    picture: str,
    models: Mapping[Precision, Model],
    make_source: MakeSource,
    load: Load,
    hard_pictures: dict[str, NDArray[np.uint8]],
) -> None:
    image = hard_pictures[picture]
    answers = load(models[precision]).run([image])
    truths = make_source().run(image)
    assert min(np.linalg.norm(truth) for truth in truths) > 0.1
    assert [relative(*pair) <= allowed for pair in zip(answers, truths, strict=True)] == [True] * 2


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_takes_and_gives_what_the_source_does(
    precision: Precision, models: Mapping[Precision, Model], load: Load
) -> None:
    runner = load(models[precision])
    assert runner.inputs == (TensorSpec(name="image", shape=(1, 21, 17, 3), dtype="uint8"),)
    assert runner.outputs == (
        TensorSpec(name="scores", shape=(1, 10), dtype="float32"),
        TensorSpec(name="heat", shape=(1, 5, 16, 16), dtype="float32"),
    )


@pytest.mark.parametrize(
    ("precision", "kind"), [("fp32", "FLOAT32"), ("fp16", "FLOAT16"), ("int8", "INT8")]
)
def test_weights_are_stored_as_the_precision_says(
    precision: Precision, kind: str, models: Mapping[Precision, Model]
) -> None:
    assert weight_types(models[precision]) == dict.fromkeys(LAYERS.values(), kind)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_preprocessing_stays_in_float(
    precision: Precision, models: Mapping[Precision, Model]
) -> None:
    float_types = preprocessing_types(models["fp32"])
    assert "FLOAT32" in float_types
    assert preprocessing_types(models[precision]) == float_types


def test_int8_changes_to_integers_once_and_back_once_an_output(
    models: Mapping[Precision, Model],
) -> None:
    names = operators(models["int8"])
    assert (names.count("QUANTIZE"), names.count("DEQUANTIZE")) == (1, 2)


@pytest.mark.parametrize("layer", LAYERS.values())
def test_a_layer_kept_in_float_is_the_only_one(layer: str, make_source: MakeSource) -> None:
    model = TFLiteExporter().export(make_source(keep_float=(layer,)), "int8")
    assert weight_types(model) == dict.fromkeys(LAYERS.values(), "INT8") | {layer: "FLOAT32"}


def test_what_is_inside_a_module_kept_in_float_is_kept_too(make_source: MakeSource) -> None:
    # "he" is the beginning of two names, and none of them.
    model = TFLiteExporter().export(make_source(keep_float=("left", "he")), "int8")
    assert weight_types(model) == dict.fromkeys(LAYERS.values(), "INT8") | {"left.0.0": "FLOAT32"}


def test_what_turns_an_output_around_is_in_float_where_its_layer_is(
    models: Mapping[Precision, Model], make_source: MakeSource
) -> None:
    # It has no name of its own. In 8 bits it would take a change to integers, and one back.
    model = TFLiteExporter().export(make_source(keep_float=("heat",)), "int8")
    assert operators(model)[-1] == operators(models["fp32"])[-1] == "TRANSPOSE"


class Awkward(nn.Module):
    """What the quantizer stumbles over.

    A max-pool pads with minus infinity. An output is read by a layer too. A mask has no bounds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.pool(self.stem(preprocessed))
        heat = self.head(features)
        mask = torch.full(heat.shape[1:], -torch.inf).triu(6)
        return {"heat": heat, "features": features, "weights": (heat + mask).softmax(3)}


@pytest.fixture(scope="module")
def awkward() -> nn.Module:
    torch.manual_seed(1)
    return Awkward().eval()


@pytest.mark.parametrize("kept", [(), ("stem", "pool"), ("head",)], ids=" ".join)
def test_what_the_quantizer_stumbles_over_is_computed_too(
    kept: tuple[str, ...],
    awkward: nn.Module,
    make_source: MakeSource,
    load: Load,
    hard_pictures: dict[str, NDArray[np.uint8]],
) -> None:
    source = make_source(awkward, keep_float=kept)
    answers = load(TFLiteExporter().export(source, "int8")).run([hard_pictures["noise"]])
    truths = source.run(hard_pictures["noise"])
    errors = [relative(*pair) for pair in zip(answers, truths, strict=True)]
    # Two layers at 8 bits, as above; the features alone are exact where what gives them is float.
    assert max(errors) <= 4e-2
    assert (errors[1] <= 1e-5) == ("pool" in kept)


def test_a_max_pool_that_pads_computes_in_integers(
    awkward: nn.Module, make_source: MakeSource
) -> None:
    file = read(TFLiteExporter().export(make_source(awkward), "int8"))
    (graph,) = file.subgraphs
    kinds = {
        OPERATORS[file.operatorCodes[op.opcodeIndex].builtinCode]: TYPES[
            graph.tensors[op.outputs[0]].type
        ]
        for op in graph.operators
    }
    assert (kinds["PADV2"], kinds["MAX_POOL_2D"]) == ("INT8", "INT8")


def test_int8_with_every_layer_in_float_is_refused(make_source: MakeSource) -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.only = nn.Conv2d(3, 4, 3)

        def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
            return self.only(preprocessed)

    message = (
        "exporter 'tflite': int8 needs at least one operator that can be quantized, "
        "got none besides ('network.only',), which stay in float"
    )
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        TFLiteExporter().export(make_source(Plain().eval(), keep_float=("only",)), "int8")


def test_int8_without_samples_is_refused(make_source: MakeSource) -> None:
    with pytest.raises(
        ExportError, match=r"^exporter 'tflite': int8 needs calibration samples, got 0$"
    ):
        TFLiteExporter().export(make_source(samples=0), "int8")


def test_int8_covers_the_extremes_of_all_samples_in_any_order(make_source: MakeSource) -> None:
    backwards = make_source()
    backwards._calibration = backwards.calibration[::-1]
    assert TFLiteExporter().export(backwards, "int8") == TFLiteExporter().export(
        make_source(), "int8"
    )


def test_int8_is_a_third_of_float_where_weights_are_most_of_it(make_source: MakeSource) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3, 4),
        nn.ReLU(),
        nn.Conv2d(64, 256, 3, 2),
        nn.ReLU(),
        nn.Conv2d(256, 1024, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 2600),
    ).eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(3e6, rel=0.05)
    source = make_source(network)
    exporter = TFLiteExporter()
    sizes = [exporter.export(source, precision).size_bytes for precision in ("fp32", "int8")]
    assert sizes[1] / sizes[0] <= 0.35


def test_the_same_source_gives_the_same_bytes(
    make_source: MakeSource,
    models: Mapping[Precision, Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_export, "_converted", {})
    assert TFLiteExporter().export(make_source(), "int8") == models["int8"]


def test_one_conversion_serves_all_precisions_and_choices_of_layers(
    make_source: MakeSource, models: Mapping[Precision, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    conversions: list[NetworkSource] = []
    monkeypatch.setattr(_export, "_converted", {})
    monkeypatch.setattr(
        _export, "_convert", lambda s: conversions.append(s) or models["fp32"].files["model.tflite"]
    )
    for precision in TFLiteExporter.precisions:
        TFLiteExporter().export(make_source(), precision)
    TFLiteExporter().export(make_source(keep_float=("head",)), "int8")
    assert len(conversions) == 1


def test_changed_weights_are_converted_again(
    make_source: MakeSource,
    network: nn.Module,
    models: Mapping[Precision, Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversions: list[NetworkSource] = []
    monkeypatch.setattr(_export, "_converted", {})
    monkeypatch.setattr(
        _export, "_convert", lambda s: conversions.append(s) or models["fp32"].files["model.tflite"]
    )
    TFLiteExporter().export(make_source(), "fp32")
    bias = network.get_parameter("head.bias").data
    before = bias.clone()
    bias += 1
    TFLiteExporter().export(make_source(), "fp32")
    # Not by -= 1, which leaves another number: all tests share the network.
    bias.copy_(before)
    assert len(conversions) == 2


def test_an_operator_without_a_tflite_form_is_named(make_source: MakeSource) -> None:
    class Cummax(nn.Module):
        def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
            return torch.cummax(preprocessed, 1)[0]

    message = (
        "exporter 'tflite': every operator must have a TFLite form, got 'aten.cummax.default' "
        "(Lowering not found: aten.cummax.default); "
        "replace it in the network, or leave this target out"
    )
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        TFLiteExporter().export(make_source(Cummax().eval()), "fp32")


def test_an_operator_that_the_converter_gives_up_on_is_named(make_source: MakeSource) -> None:
    class Broadcast(nn.Module):
        def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
            x = preprocessed[:, :2, :2, :2]
            return x.reshape(2, 1, 2, 1, 2, 1, 1) + x.reshape(1, 2, 1, 2, 1, 2, 1)

    with pytest.raises(ExportError, match=r"must have a TFLite form, got 'tfl\.add' "):
        TFLiteExporter().export(make_source(Broadcast().eval()), "fp32")


def test_a_network_that_torch_cannot_export_is_an_export_error(make_source: MakeSource) -> None:
    class Branch(nn.Module):
        def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
            return preprocessed if preprocessed.sum() > 0 else -preprocessed

    with pytest.raises(
        ExportError,
        match=r"^exporter 'tflite': litert-torch must convert the network, "
        "got GuardOnDataDependentSymNode: Could not guard on data-dependent expression",
    ):
        TFLiteExporter().export(make_source(Branch().eval()), "fp32")


def test_a_file_that_gives_something_else_is_refused(
    make_source: MakeSource, models: Mapping[Precision, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_export, "_converted", {})
    monkeypatch.setattr(_export, "_convert", lambda _: models["fp32"].files["model.tflite"])
    with pytest.raises(
        ExportError, match=r"^exporter 'tflite': the outputs must be .*'output'.*, got .*'scores'"
    ):
        TFLiteExporter().export(make_source(nn.Conv2d(3, 4, 3).eval()), "fp32")
