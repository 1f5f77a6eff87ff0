"""Precisions beside float32 and static int8, the policy, and what it costs to ask again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ExportError
from edgeprep.interfaces import Calibrator, Model, Precision, Quantization, Runner
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter, _convert, _engine, _statistics

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

Load = Callable[[Model], Runner]
MakeSource = Callable[..., NetworkSource]
Read = Callable[[Model], Any]

STORED: tuple[Precision, ...] = ("int8-dynamic", "int8-weight-only")
# By the shape of their weights.
SHAPES = {
    (8, 3, 3, 3): "stem.0",
    (8, 1, 1, 5, 5): "body.0",
    (12, 8, 1, 1): "body.2",
    (5, 12): "head",
}


def constants(graph: Any, kind: str) -> dict[str, np.ndarray]:
    """The weights of layers that are stored as `kind`."""
    return {
        SHAPES[tuple(node.get_shape())]: node.data
        for node in graph.get_ops()
        if node.get_type_name() == "Constant"
        and node.get_element_type().get_type_name() == kind
        and tuple(node.get_shape()) in SHAPES
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
        ("bf16", 0.02),  # weights are off by 2^-9 of themselves, in four layers
        ("int8-dynamic", 0.03),  # by 1/254 of the largest of a channel; and so is what is read
        ("int8-weight-only", 0.02),
    ],
)
def test_it_computes_nearly_what_torch_computes(
    precision: Precision, allowed: float, make_source: MakeSource, load: Load
) -> None:
    source = make_source()
    assert 1e-5 < worst(OpenVINOExporter().export(source, precision), source, load) <= allowed


def test_bf16_holds_weights_of_sixteen_bits(make_source: MakeSource, read: Read) -> None:
    graph = read(OpenVINOExporter().export(make_source(), "bf16"))
    assert set(constants(graph, "bf16")) == set(SHAPES.values())
    front = [one for one in graph.get_ops() if one.friendly_name.startswith("preprocessing/")]
    assert all(one.get_output_element_type(0).get_type_name() != "bf16" for one in front)


@pytest.mark.parametrize("precision", STORED)
def test_weights_are_integers_and_need_no_samples(
    precision: Precision,
    make_source: MakeSource,
    read: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_source()
    monkeypatch.setattr(source._made, "calibration", source.calibration[:0])
    graph = read(OpenVINOExporter().export(source, precision))
    assert set(constants(graph, "i8")) == set(SHAPES.values())
    assert "FakeQuantize" not in {one.get_type_name() for one in graph.get_ops()}


@pytest.mark.parametrize(("precision", "size"), [("int8-dynamic", "32"), ("int8-weight-only", "0")])
def test_the_file_says_whether_inputs_are_rounded(
    precision: Precision, size: str, make_source: MakeSource, read: Read
) -> None:
    graph = read(OpenVINOExporter().export(make_source(), precision))
    found = graph.get_rt_info(["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
    assert str(found.value) == size


@pytest.mark.parametrize("precision", STORED)
def test_modules_are_kept_in_float(
    precision: Precision, make_source: MakeSource, read: Read
) -> None:
    graph = read(OpenVINOExporter().export(make_source(keep_float=("body",)), precision))
    assert set(constants(graph, "i8")) == {"stem.0", "head"}


def test_ranges_of_the_moment_need_a_matrix_product(make_source: MakeSource) -> None:
    with pytest.raises(
        ExportError,
        match=(
            r"^exporter 'openvino': int8-dynamic needs a matrix product with weights, got weights "
            r"in int8 for \['Convolution', 'GroupConvolution'\] alone, 2 operations kept in float$"
        ),
    ):
        OpenVINOExporter().export(make_source(keep_float=("head",)), "int8-dynamic")


def test_weights_need_a_layer(make_source: MakeSource) -> None:
    source = make_source(keep_float=("stem.0", "body.0", "body.2", "head"))
    with pytest.raises(
        ExportError,
        match=(
            r"^exporter 'openvino': int8-weight-only needs a layer with weights, got weights in "
            r"int8 for \[\] alone, 7 operations kept in float$"
        ),
    ):
        OpenVINOExporter().export(source, "int8-weight-only")


def test_files_shrink(make_source: MakeSource) -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.Conv2d(64, 256, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 4000),
    )  # fmt: skip
    source = make_source(wide.eval())
    size = {
        kind: OpenVINOExporter().export(source, kind).size_bytes
        for kind in ("fp32", "bf16", *STORED)
    }
    assert size["bf16"] <= 0.52 * size["fp32"]
    assert max(size[kind] for kind in STORED) <= 0.28 * size["fp32"]


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


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8", *STORED])
def test_a_transformer_block_is_computed_too(
    precision: Precision, make_source: MakeSource, load: Load
) -> None:
    torch.manual_seed(0)
    network = Block().eval()
    for kept in ((), ("wide",)):
        source = make_source(network, kept)
        model = OpenVINOExporter().export(source, precision)
        assert worst(model, source, load) <= 0.06  # int8, over seven layers


@pytest.mark.parametrize("calibrator", ["percentile", "entropy", "mse"])
def test_calibrators_choose_other_ranges(make_source: MakeSource, calibrator: Calibrator) -> None:
    source = make_source()
    policy = Quantization(calibrator=calibrator, percentile=99)
    plain = OpenVINOExporter().export(source, "int8")
    assert OpenVINOExporter().export(source.quantized_by(policy), "int8") != plain
    # What one policy has measured is not taken for another's.
    assert OpenVINOExporter().export(source, "int8") == plain


def test_a_search_for_layers_to_keep_converts_and_measures_once(
    make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source()
    OpenVINOExporter().export(source, "int8")
    again = make_source()
    fresh = OpenVINOExporter().export(make_source(keep_float=("head",)), "int8")
    monkeypatch.delattr(_convert, "_convert")
    monkeypatch.delattr(_statistics, "_collect")
    assert OpenVINOExporter().export(again.keeping(("head",)), "int8") == fresh


def test_changed_weights_are_converted_again(make_source: MakeSource, network: nn.Module) -> None:
    source = make_source()
    before = OpenVINOExporter().export(source, "fp32")
    with torch.no_grad():
        network.get_parameter("head.bias").add_(1)
    assert OpenVINOExporter().export(source, "fp32") != before


@pytest.mark.parametrize(("weight_range", "most"), [("auto", 64), ("reduced", 64), ("full", 127)])
def test_weights_have_seven_bits_unless_they_are_full(
    weight_range: Any, most: int, make_source: MakeSource, read: Read
) -> None:
    source = make_source().quantized_by(Quantization(weight_range=weight_range))
    graph = read(OpenVINOExporter().export(source, "int8"))
    largest = {
        name: int(np.abs(one.astype(int)).max()) for name, one in constants(graph, "i8").items()
    }
    # A depthwise convolution adds up no products of two channels.
    assert largest.pop("body.0") == 127
    assert {most - 1 <= one <= most for one in largest.values()} == {True}


@pytest.mark.parametrize(
    ("saturates", "precision", "weight_range", "reason"),
    [
        (True, "int8", "full", "sums of full-range int8 saturate on x86 without VNNI"),
        (True, "int8", "reduced", None),
        (True, "int8", "auto", None),
        (True, "fp32", "full", None),
        (True, "int8-weight-only", "full", None),
        (False, "int8", "full", None),
    ],
)
def test_full_weights_are_refused_where_sums_saturate(
    backend: OpenVINOBackend,
    monkeypatch: pytest.MonkeyPatch,
    saturates: bool,
    precision: Precision,
    weight_range: Any,
    reason: str | None,
) -> None:
    monkeypatch.setattr(_engine, "sums_saturate", lambda: saturates)
    assert backend.refuse(backend.devices()[0], precision, weight_range) == reason


def test_samples_that_are_not_finite_are_refused(
    make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source()
    samples = source.calibration_preprocessed.copy()
    samples[1, 0, 0, 0] = np.inf
    monkeypatch.setitem(vars(source._made), "calibration_preprocessed", samples)
    with pytest.raises(
        ExportError,
        match=r"^exporter 'openvino': int8 needs finite calibration samples, got nan or inf$",
    ):
        OpenVINOExporter().export(source, "int8")
