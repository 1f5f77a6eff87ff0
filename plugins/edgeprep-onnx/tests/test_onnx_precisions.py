"""Ways to int8 beside the static one, the policy that all obey, and what it costs to ask again."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ExportError
from edgeprep.interfaces import Calibrator, Device, Model, Precision, Quantization, Runner
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend, _engine, _ranges
from edgeprep_onnx._marks import has_reduced_weights

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

Load = Callable[[Model], Runner]
MakeSource = Callable[..., NetworkSource]

OTHERS: tuple[Precision, ...] = ("int8-dynamic", "int8-weight-only")


def graph_of(model: Model) -> onnx.GraphProto:
    return onnx.load_from_string(model.files["model.onnx"]).graph


def kinds(model: Model) -> set[str]:
    """The operators behind the preprocessing."""
    nodes = graph_of(model).node
    return {node.op_type for node in nodes if not node.name.startswith("preprocessing/")}


def integer_weights(model: Model) -> dict[str, NDArray[np.integer]]:
    """By layer, as far as they are integers."""
    found = {}
    for tensor in graph_of(model).initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name.endswith("_quantized") and values.itemsize == 1 and values.ndim > 1:
            name = tensor.name.removesuffix("_quantized")
            found[name.removeprefix("network.").removesuffix(".weight")] = values
    return found


def worst(model: Model, source: NetworkSource, load: Load, samples: NDArray[np.uint8]) -> float:
    runner = load(model)
    errors = []
    for sample in samples:
        pairs = zip(runner.run([sample[np.newaxis]]), source.run(sample[np.newaxis]), strict=True)
        errors += [np.abs(answer - truth).max() / np.abs(truth).max() for answer, truth in pairs]
    return float(max(errors))


@pytest.mark.parametrize(
    ("precision", "allowed"),
    [
        # Steps of 1/255 of what a layer reads at that moment, and of weights, in five layers.
        ("int8-dynamic", 0.03),
        # Weights are off by 1/254 of the largest of a channel at most, in five layers.
        ("int8-weight-only", 0.02),
    ],
)
def test_it_computes_nearly_what_torch_computes(
    precision: Precision,
    allowed: float,
    source: NetworkSource,
    models: dict[Precision, Model],
    load: Load,
    hard_samples: NDArray[np.uint8],
) -> None:
    assert 1e-5 < worst(models[precision], source, load, hard_samples) <= allowed


def test_dynamic_multiplies_integers_and_needs_no_samples(
    make_source: MakeSource, models: dict[Precision, Model], hard_samples: NDArray[np.uint8]
) -> None:
    assert {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"} <= kinds(
        models["int8-dynamic"]
    )
    without = make_source(calibration=hard_samples[:0])
    assert OnnxExporter().export(without, "int8-dynamic") == models["int8-dynamic"]


def test_weights_alone_are_integers_and_need_no_samples(
    make_source: MakeSource, models: dict[Precision, Model], hard_samples: NDArray[np.uint8]
) -> None:
    model = models["int8-weight-only"]
    assert kinds(model) == kinds(models["fp32"]) | {"DequantizeLinear"}
    assert set(integer_weights(model)) == {"stem.0", "body.0", "body.2", "head", "mask"}
    assert all(np.abs(one).max() == 127 for one in integer_weights(model).values())
    without = make_source(calibration=hard_samples[:0])
    assert OnnxExporter().export(without, "int8-weight-only") == model


def test_weights_alone_are_rounded_to_the_nearest_step(
    network: nn.Module, models: dict[Precision, Model]
) -> None:
    constants = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph_of(models["int8-weight-only"]).initializer
    }
    exact = network.get_parameter("head.weight").detach().numpy()
    steps = constants["network.head.weight_quantized"].astype(np.float64)
    scales = constants["network.head.weight_scale"][:, np.newaxis].astype(np.float64)
    assert scales.shape == (5, 1)
    assert np.abs(steps * scales - exact).max() <= 0.5001 * scales.max()
    np.testing.assert_allclose(scales[:, 0], np.abs(exact).max(1) / 127, rtol=1e-6)


@pytest.mark.parametrize("precision", OTHERS)
@pytest.mark.parametrize("kept", ["stem", "body.2", "head", "mask"])
def test_modules_are_kept_in_float(
    source: NetworkSource, models: dict[Precision, Model], precision: Precision, kept: str
) -> None:
    whole = set(integer_weights(models[precision]))
    part = set(integer_weights(OnnxExporter().export(source.keeping((kept,)), precision)))
    assert whole - part == {"stem.0" if kept == "stem" else kept}


@pytest.mark.parametrize("precision", OTHERS)
def test_a_network_kept_in_float_as_a_whole_is_refused(
    source: NetworkSource, precision: Precision
) -> None:
    kept = source.keeping(("stem", "body", "head", "mask"))
    with pytest.raises(
        ExportError, match=rf"^exporter 'onnx': {precision} needs .*, got only \['Clip', 'Conv', "
    ):
        OnnxExporter().export(kept, precision)


def test_files_shrink(make_source: MakeSource) -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Conv2d(3, 64, 3, 4), nn.ReLU(), nn.Conv2d(64, 256, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2000),
    )  # fmt: skip
    source = make_source(wide.eval())
    size = {kind: OnnxExporter().export(source, kind).size_bytes for kind in ("fp32", *OTHERS)}
    assert max(size[kind] for kind in OTHERS) <= 0.3 * size["fp32"]


class Block(nn.Module):
    """What a transformer is made of; two matrices have one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 5, 5)
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.wide = nn.Linear(16, 32)
        self.narrow = nn.Linear(32, 16)
        self.first, self.second = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
        self.second.weight = self.first.weight

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(preprocessed).flatten(2).transpose(1, 2)
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        tokens = tokens + self.narrow(nn.functional.gelu(self.wide(tokens)))
        return torch.relu(self.second(torch.relu(self.first(tokens)))).mean(1)


@pytest.mark.parametrize("precision", ["fp16", "int8", *OTHERS])
def test_a_transformer_block_is_computed_too(
    make_source: MakeSource, load: Load, precision: Precision, hard_samples: NDArray[np.uint8]
) -> None:
    torch.manual_seed(0)
    source = make_source(Block().eval())
    model = OnnxExporter().export(source, precision)
    assert worst(model, source, load, hard_samples[:3]) <= 0.06  # int8, over nine layers
    kept = OnnxExporter().export(source.keeping(("first",)), precision)
    assert worst(kept, source, load, hard_samples[:3]) <= 0.06


@pytest.mark.parametrize("calibrator", ["percentile", "entropy", "mse"])
def test_calibrators_choose_other_ranges_from_samples_seen_once(
    source: NetworkSource,
    models: dict[Precision, Model],
    monkeypatch: pytest.MonkeyPatch,
    calibrator: Calibrator,
) -> None:
    policy = Quantization(calibrator=calibrator, percentile=99)
    chosen = OnnxExporter().export(source.quantized_by(policy), "int8")
    assert chosen != models["int8"]
    monkeypatch.delattr(_ranges, "count")
    assert OnnxExporter().export(source.quantized_by(policy), "int8") == chosen
    OnnxExporter().export(source.keeping(("head",)).quantized_by(policy), "int8")


def test_each_percentile_has_ranges_of_its_own(source: NetworkSource) -> None:
    exported = [
        OnnxExporter().export(
            source.quantized_by(Quantization(calibrator="percentile", percentile=share)), "int8"
        )
        for share in (99.0, 99.9, 99.0)
    ]
    assert exported[0] == exported[2] != exported[1]


@pytest.mark.parametrize(("precision", "most"), [("int8", 64), ("int8-dynamic", 127)])
def test_reduced_weights_have_seven_bits(
    source: NetworkSource, models: dict[Precision, Model], precision: Precision, most: int
) -> None:
    policy = Quantization(weight_range="reduced")
    reduced = OnnxExporter().export(source.quantized_by(policy), precision)
    spans = [np.ptp(one.astype(int)) for one in integer_weights(reduced).values()]
    assert max(spans) <= 2 * 64
    full = [np.ptp(one.astype(int)) for one in integer_weights(models[precision]).values()]
    assert min(full) > 150
    assert max(int(one.max()) for one in integer_weights(reduced).values()) <= most
    assert has_reduced_weights(reduced.files["model.onnx"])
    assert not has_reduced_weights(models[precision].files["model.onnx"])


def test_full_weights_are_what_auto_means_here(
    source: NetworkSource, models: dict[Precision, Model]
) -> None:
    full = source.quantized_by(Quantization(weight_range="full"))
    assert OnnxExporter().export(full, "int8") == models["int8"]


@pytest.mark.parametrize("saturates", [True, False])
def test_only_full_weights_are_multiplied_slowly_where_sums_saturate(
    source: NetworkSource,
    models: dict[Precision, Model],
    backend: OnnxRuntimeBackend,
    cpu: Device,
    monkeypatch: pytest.MonkeyPatch,
    saturates: bool,
) -> None:
    entries: list[tuple[str, str]] = []

    class Options(_engine.onnxruntime.SessionOptions):  # type: ignore[name-defined,misc]
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries.append((key, value))
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(_engine, "sums_saturate", lambda: saturates)
    monkeypatch.setattr(_engine.onnxruntime, "SessionOptions", Options)
    reduced = source.quantized_by(Quantization(weight_range="reduced"))
    for model in (models["int8"], OnnxExporter().export(reduced, "int8")):
        backend.load(model, cpu, {"threads": 1}).close()
    slow = [value for key, value in entries if key == "session.x64quantprecision"]
    assert slow == [str(int(saturates)), "0"]
