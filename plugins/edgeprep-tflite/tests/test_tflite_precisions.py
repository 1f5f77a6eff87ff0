"""Ways to int8 beside the static one, the policy that all obey, and what it costs to ask again."""

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
from edgeprep.interfaces import Calibrator, Model, Precision, Quantization, Runner
from edgeprep_tflite import TFLiteExporter, _ranges

# By the shape of their weights, as TFLite has it.
LAYERS = {
    (8, 3, 3, 3): "stem.0",
    (12, 3, 3, 8): "left.0.0",
    (12, 5, 5, 8): "right.0.0",
    (10, 12): "head",
    (5, 1, 1, 12): "heat",
}
OTHERS: tuple[Precision, ...] = ("int8-int16", "int8-dynamic", "int8-weight-only")

Load = Callable[[Model], Runner]
MakeSource = Callable[..., NetworkSource]


def read(model: Model) -> Any:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(model.files["model.tflite"]))


def integer_weights(model: Model) -> dict[str, NDArray[np.int8]]:
    """By layer, as far as they are integers."""
    file = read(model)
    (graph,) = file.subgraphs
    return {
        LAYERS[tuple(tensor.shape)]: file.buffers[tensor.buffer].data.view(np.int8)
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT8
        and tuple(tensor.shape) in LAYERS
        and file.buffers[tensor.buffer].data is not None
    }


def types_of_activations(model: Model) -> set[int]:
    file = read(model)
    (graph,) = file.subgraphs
    return {
        graph.tensors[index].type
        for operator in graph.operators
        for index in operator.outputs
        if graph.tensors[index].name.startswith(b"network")
    }


def worst(model: Model, source: NetworkSource, load: Load) -> float:
    runner = load(model)
    errors = []
    for picture in source.calibration[:4, np.newaxis]:
        for answer, truth in zip(runner.run([picture]), source.run(picture), strict=True):
            errors.append(np.abs(answer - truth).max() / np.abs(truth).max())
    return float(max(errors))


@pytest.mark.parametrize(
    ("precision", "allowed"),
    [
        # Weights are off by 1/254 of the largest of a channel at most, in five layers.
        ("int8-weight-only", 0.02),
        ("int8-int16", 0.02),
        # And so is what a layer reads.
        ("int8-dynamic", 0.03),
    ],
)
def test_it_computes_nearly_what_torch_computes(
    precision: Precision,
    allowed: float,
    models: Mapping[Precision, Model],
    make_source: MakeSource,
    load: Load,
) -> None:
    assert 1e-5 < worst(models[precision], make_source(), load) <= allowed


@pytest.mark.parametrize("precision", OTHERS)
def test_weights_of_every_layer_are_integers(
    precision: Precision, models: Mapping[Precision, Model]
) -> None:
    assert set(integer_weights(models[precision])) == set(LAYERS.values())


@pytest.mark.parametrize(
    ("precision", "kinds"),
    [
        ("int8-int16", {schema.TensorType.INT16}),
        ("int8-dynamic", {schema.TensorType.FLOAT32}),
        ("int8-weight-only", {schema.TensorType.FLOAT32}),
    ],
)
def test_activations_are_what_the_precision_says(
    precision: Precision, kinds: set[int], models: Mapping[Precision, Model]
) -> None:
    found = types_of_activations(models[precision])
    assert kinds <= found <= kinds | {schema.TensorType.FLOAT32}


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-weight-only"])
def test_what_has_no_ranges_needs_no_samples(
    precision: Precision, models: Mapping[Precision, Model], make_source: MakeSource
) -> None:
    assert TFLiteExporter().export(make_source(samples=0), precision) == models[precision]


def test_activations_in_16_bits_need_samples(make_source: MakeSource) -> None:
    with pytest.raises(
        ExportError, match=r"^exporter 'tflite': int8-int16 needs calibration samples, got 0$"
    ):
        TFLiteExporter().export(make_source(samples=0), "int8-int16")


@pytest.mark.parametrize("precision", OTHERS)
@pytest.mark.parametrize("kept", ["stem", "left", "heat"])
def test_modules_are_kept_in_float(
    precision: Precision, kept: str, make_source: MakeSource
) -> None:
    model = TFLiteExporter().export(make_source(keep_float=(kept,)), precision)
    missing = set(LAYERS.values()) - set(integer_weights(model))
    assert {layer.partition(".")[0] for layer in missing} == {kept}


def test_files_shrink(make_source: MakeSource) -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Conv2d(3, 64, 3, 4), nn.ReLU(), nn.Conv2d(64, 256, 3, 2), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 4000),
    )  # fmt: skip
    source = make_source(wide.eval())
    size = {kind: TFLiteExporter().export(source, kind).size_bytes for kind in ("fp32", *OTHERS)}
    assert max(size[kind] for kind in OTHERS) <= 0.3 * size["fp32"]


class Block(nn.Module):
    """What a transformer is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, 4)
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.wide = nn.Linear(16, 32)
        self.narrow = nn.Linear(32, 16)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(preprocessed).flatten(2).transpose(1, 2)
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return (tokens + self.narrow(nn.functional.gelu(self.wide(tokens)))).mean(1)


@pytest.fixture(scope="module")
def block() -> nn.Module:
    torch.manual_seed(0)
    return Block().eval()


@pytest.mark.parametrize("precision", ["fp16", "int8", *OTHERS])
def test_a_transformer_block_is_computed_too(
    precision: Precision, block: nn.Module, make_source: MakeSource, load: Load
) -> None:
    for kept in ((), ("wide",)):
        source = make_source(block, keep_float=kept)
        model = TFLiteExporter().export(source, precision)
        assert worst(model, source, load) <= 0.06  # int8, over seven layers


@pytest.mark.parametrize("precision", ["int8", "int8-int16"])
@pytest.mark.parametrize("calibrator", ["percentile", "entropy", "mse"])
def test_calibrators_choose_other_ranges(
    precision: Precision,
    calibrator: Calibrator,
    make_source: MakeSource,
    models: Mapping[Precision, Model],
) -> None:
    policy = Quantization(calibrator=calibrator, percentile=99)
    chosen = TFLiteExporter().export(make_source().quantized_by(policy), precision)
    if (precision, calibrator) != ("int8-int16", "mse"):  # 65,536 steps leave nothing to cut off
        assert chosen != models[precision]
    # What one policy has measured is not taken for another's.
    assert TFLiteExporter().export(make_source(), precision) == models[precision]


def test_a_search_for_layers_to_keep_goes_through_the_samples_once(
    make_source: MakeSource, models: Mapping[Precision, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    mse = Quantization(calibrator="mse")
    TFLiteExporter().export(make_source().quantized_by(mse), "int8")
    monkeypatch.delattr(_ranges, "_extremes")
    monkeypatch.delattr(_ranges, "count")
    kept = make_source(keep_float=("head",))
    assert TFLiteExporter().export(kept, "int8") != models["int8"]
    TFLiteExporter().export(kept.quantized_by(mse), "int8")


class Padded(nn.Module):
    """A max-pool pads with minus infinity."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.stem(preprocessed)))


@pytest.mark.parametrize("calibrator", ["percentile", "entropy", "mse"])
def test_what_is_padded_with_minus_infinity_has_the_range_of_what_was_padded(
    calibrator: Calibrator, make_source: MakeSource, load: Load
) -> None:
    torch.manual_seed(0)
    source = make_source(Padded().eval()).quantized_by(Quantization(calibrator=calibrator))
    model = TFLiteExporter().export(source, "int8")
    assert worst(model, source, load) <= 0.06
    (stem, pool) = (
        {
            (one.low, one.high)
            for one in TFLiteExporter().coverage(source, "int8")
            if one.module == name
        }
        for name in ("stem", "pool")
    )
    assert stem & pool


@pytest.mark.parametrize("precision", ["int8", "int8-int16", "int8-dynamic"])
def test_reduced_weights_have_seven_bits(
    precision: Precision, make_source: MakeSource, models: Mapping[Precision, Model]
) -> None:
    policy = Quantization(weight_range="reduced")
    reduced = TFLiteExporter().export(make_source().quantized_by(policy), precision)
    for one in integer_weights(reduced).values():
        assert np.abs(one.astype(int)).max() == 63
    for one in integer_weights(models[precision]).values():
        assert np.abs(one.astype(int)).max() == 127


def test_full_weights_are_what_auto_means_here(
    make_source: MakeSource, models: Mapping[Precision, Model]
) -> None:
    full = make_source().quantized_by(Quantization(weight_range="full"))
    assert TFLiteExporter().export(full, "int8") == models["int8"]
