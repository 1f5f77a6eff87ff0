"""A calibrator means the same in every format: by what each one's own file says of its ranges."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Exporter, Quantization, RangeCoverage
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.tensors import ImageSpec
from edgeprep_onnx import OnnxExporter
from edgeprep_openvino import OpenVINOExporter
from edgeprep_tflite import TFLiteExporter

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

FORMATS = (OnnxExporter(), OpenVINOExporter(), TFLiteExporter())
POLICIES = (
    Quantization(),
    Quantization(calibrator="percentile", percentile=99.5),
    Quantization(calibrator="entropy"),
    Quantization(calibrator="mse"),
)
SIZE = 24


class Peaked(nn.Module):
    """A pixel that is pure white, as no other is, makes an activation 150 times all others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.act = nn.ReLU()
        self.body = nn.Conv2d(8, 8, 3)
        self.out = nn.Conv2d(8, 4, 1)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        features = self.act(self.stem(preprocessed))
        features = features + 4000 * torch.relu(preprocessed[:, :1, 1:-1, 1:-1] - 0.98)
        return self.out(torch.relu(self.body(features))).mean((2, 3))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> NetworkSource:
    torch.manual_seed(0)
    chain = Chain(
        input=ImageSpec(height=SIZE, width=SIZE),
        stages=(Normalize(mean=(0.0,) * 3, std=(1.0,) * 3), DType(), Layout(to="nchw")),
    )
    random = np.random.default_rng(0)
    pictures = random.integers(0, 200, (12, SIZE, SIZE, 3)).astype(np.uint8)
    pictures[3, 7, 9] = 255
    scratch = tmp_path_factory.mktemp("scratch")
    return NetworkSource(Peaked().eval(), chain, pictures, scratch=scratch)


@pytest.fixture(scope="module")
def truth(source: NetworkSource) -> np.ndarray:
    """What `body` reads on all calibration samples, by torch."""
    taken = []
    handle = source.network.get_submodule("network.body").register_forward_pre_hook(
        lambda _module, given: taken.append(given[0].numpy().copy())
    )
    with torch.inference_mode():
        source.network(torch.from_numpy(source.calibration_preprocessed))
    handle.remove()
    return np.concatenate([values.reshape(-1) for values in taken])


def peaked(found: tuple[RangeCoverage, ...], truth: np.ndarray) -> RangeCoverage:
    """The activation that `body` reads, known by its greatest value."""
    (one,) = {
        entry.calibration.high: entry
        for entry in found
        if entry.calibration.high == pytest.approx(float(truth.max()), rel=1e-4)
    }.values()
    return one


def oracle(values: np.ndarray, policy: Quantization) -> tuple[float, float]:
    """The range of `values`, by brute force on them."""
    exact = np.sort(values.astype(np.float64))
    match policy.calibrator:
        case "percentile":
            outside = (100 - policy.percentile) / 2
            low, high = np.percentile(exact, [outside, 100 - outside])
            return float(low), float(high)
        case "mse":
            return 0.0, min(limits(exact), key=lambda limit: squared_error(exact, limit))
        case _:
            return float(exact[0]), float(exact[-1])


def limits(exact: np.ndarray) -> Iterator[float]:
    yield from np.geomspace(np.quantile(exact[exact > 0], 0.9), exact[-1], 400)


def squared_error(exact: np.ndarray, limit: float) -> float:
    step = limit / 255
    return float(np.mean((np.rint(np.minimum(exact, limit) / step) * step - exact) ** 2))


def test_the_outlier_is_one(truth: np.ndarray) -> None:
    assert truth.max() > 100 * np.quantile(truth, 0.999)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.calibrator)
def test_the_formats_choose_the_same_range(
    policy: Quantization, source: NetworkSource, truth: np.ndarray
) -> None:
    exporters: tuple[Exporter, ...] = FORMATS
    found = [
        peaked(exporter.coverage(source.quantized_by(policy), "int8"), truth)
        for exporter in exporters
    ]
    # A zero point that is whole moves the ends by a step at most, 1/255 of the range.
    for one in found[1:]:
        assert (one.low, one.high) == pytest.approx((found[0].low, found[0].high), rel=0.01)
        assert one.calibration.clipped == pytest.approx(found[0].calibration.clipped, abs=1e-3)
    if policy.calibrator != "entropy":
        # A bin is 1 % wide, and near its minimum the squared error hardly changes.
        assert (found[0].low, found[0].high) == pytest.approx(oracle(truth, policy), rel=0.05)


@pytest.mark.parametrize("calibrator", ["percentile", "entropy"])
def test_an_outlier_is_cut_off_in_every_format(
    calibrator: str, source: NetworkSource, truth: np.ndarray
) -> None:
    policy = next(one for one in POLICIES if one.calibrator == calibrator)
    for exporter in FORMATS:
        one = peaked(exporter.coverage(source.quantized_by(policy), "int8"), truth)
        assert one.high < truth.max() / 10
        assert 0 < one.calibration.clipped < 0.01


def test_formats_address_a_layer_by_the_same_path(source: NetworkSource) -> None:
    for exporter in FORMATS:
        (stem,) = {
            (round(one.low, 2), round(one.high, 2))
            for one in exporter.coverage(source, "int8")
            if one.module == "act"
        }
        assert stem[0] == 0


def test_other_samples_are_told_of_beside_those_of_the_calibration(source: NetworkSource) -> None:
    brighter = [(picture[np.newaxis],) for picture in source.calibration // 4 + 150]
    for exporter in FORMATS:
        first = next(
            one
            for one in exporter.coverage(source, "int8", brighter)
            # TFLite turns to integers before the scale, where pixels are whole anyway.
            if one.calibration.high == pytest.approx(1)
        )
        assert first.evaluation is not None
        assert first.calibration.low == pytest.approx(0, abs=1e-6)
        assert first.evaluation.low == pytest.approx(150 / 255, rel=1e-4)
        assert first.evaluation.high == pytest.approx(213 / 255, rel=1e-4)
        assert first.evaluation.clipped == 0
        assert exporter.coverage(source, "int8")[0].evaluation is None


def test_what_has_no_ranges_has_no_coverage(source: NetworkSource) -> None:
    for exporter in FORMATS:
        assert exporter.coverage(source, "int8-dynamic") == ()
        assert exporter.coverage(source, "fp32") == ()
