"""What `check` advises helps: the error of int8 in real engines, before and after."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeprep.conversion.killers import Finding, find_killers, observe
from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ExportError
from edgeprep.interfaces import Quantization
from edgeprep.registry import create, default_registry
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SIDE, CALIBRATION = 16, 16
Pair = tuple[NDArray[Any], NDArray[Any]]
Find = Callable[[nn.Module], dict[str, Finding]]
Int8 = Callable[..., list[Pair]]


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    """Pictures of little contrast, with a bright spot here and there."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(100, 151, (24, SIDE, SIDE, 3), dtype=np.uint8)
    pictures[generator.random((24, SIDE, SIDE)) < 0.004] = 255
    return pictures


@pytest.fixture
def source(tmp_path: Path, pictures: NDArray[np.uint8]) -> Callable[[nn.Module], NetworkSource]:
    """A network with its preprocessing and its calibration samples."""
    image = ImageSpec(height=SIDE, width=SIDE)
    chain = Chain.build([{"use": "scale"}], input=image, registry=default_registry())
    calibration = pictures[:CALIBRATION]
    return lambda network: NetworkSource(network.eval(), chain, calibration, scratch=tmp_path)


@pytest.fixture
def find(source: Callable[[nn.Module], NetworkSource]) -> Find:
    """What is found in a network, by the name of the killer."""

    def find(network: nn.Module) -> dict[str, Finding]:
        taken = source(network).calibration_preprocessed
        samples = [torch.from_numpy(sample[np.newaxis]) for sample in taken]
        found = find_killers(observe(network, samples[0], samples))
        return {finding.killer: finding for finding in found}

    return find


@pytest.fixture
def int8(source: Callable[[nn.Module], NetworkSource], pictures: NDArray[np.uint8]) -> Int8:
    """What a network answers in torch and in int8, output by output, on held-out pictures."""

    def run(
        network: nn.Module,
        format_: str = "onnx",
        *,
        keep: tuple[str, ...] = (),
        policy: Quantization | None = None,
    ) -> list[Pair]:
        whole = source(network).keeping(keep).quantized_by(policy or Quantization())
        registry = default_registry()
        model = create(registry.get("exporter", format_)).export(whole, "int8")
        backend = create(registry.backends_for(format_)[0])
        device = backend.devices()[0]
        runner = backend.load(model, device, backend.options(device, "int8")[0])
        held_out = [picture[np.newaxis] for picture in pictures[CALIBRATION:]]
        expected = [np.stack(each) for each in zip(*map(whole.run, held_out), strict=True)]
        answers = [runner.run((picture,)) for picture in held_out]
        runner.close()
        got = [np.stack(each) for each in zip(*answers, strict=True)]
        return list(zip(expected, got, strict=True))

    return run


def decibel(pair: Pair) -> float:
    """Signal to noise: what varies between pictures against what int8 changed."""
    expected, got = (array.astype(np.float64) for array in pair)
    signal = expected - expected.mean(axis=0)
    return float(10 * np.log10((signal**2).sum() / ((expected - got) ** 2).sum()))


class Detector(nn.Module):
    """Boxes in pixels and scores in 0..1, in one output or in two."""

    def __init__(self, *, joined: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.joined = joined
        self.body = nn.Conv2d(3, 16, 4, 4)
        self.boxes, self.scores = nn.Conv2d(16, 4, 1), nn.Conv2d(16, 5, 1)
        self.scores.weight.data *= 8

    def forward(self, x: torch.Tensor) -> Any:
        features = self.body(x).relu()
        boxes = self.boxes(features).flatten(2) * 640 + 320
        scores = self.scores(features).flatten(2).sigmoid()
        return torch.cat([boxes, scores], 1) if self.joined else (boxes, scores)


def test_outputs_of_their_own_give_scores_their_levels_back(find: Find, int8: Int8) -> None:
    joined, apart = Detector(joined=True), Detector(joined=False)
    assert set(find(joined)) == {"joined-outputs"}
    assert find(apart) == {}
    ((expected, got),) = int8(joined, "tflite")
    _, scores = int8(apart, "tflite")
    # Together every score is 0 or a whole step of the boxes: the noise is larger than the signal.
    assert decibel((expected[:, :, 4:], got[:, :, 4:])) < -20
    assert decibel(scores) > 15


class Attention(nn.Module):
    """Attention to the first ten of sixteen places, and to no other."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.register_buffer("mask", torch.arange(16) >= 10)
        self.constant = constant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        likeness = 20 * self.query(x) @ self.key(x).transpose(1, 2)
        shares = likeness.masked_fill(self.mask, self.constant).softmax(-1)
        return torch.as_tensor(shares @ self.value(x))


class Attentive(nn.Module):
    def __init__(self, constant: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.attention = nn.Conv2d(3, 16, 4, 4), Attention(constant)
        self.head = nn.Linear(16, 6)
        self.embed.weight.data *= 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return torch.as_tensor(self.head(self.attention(tokens).mean(1)))


def test_a_mask_that_is_just_far_enough_or_attention_in_float_saves_the_others(
    find: Find, int8: Int8
) -> None:
    huge = Attentive(-1e9)
    (finding,) = find(huge).values()
    assert (finding.killer, finding.keep_float) == ("huge-constant", ("attention",))
    advised = float(finding.remedy.partition("such as ")[2].partition(",")[0])
    assert -100 < advised < -20
    near = Attentive(advised)
    assert find(near) == {}
    (before,), (after,), (kept,) = (
        int8(huge),
        int8(near),
        int8(huge, keep=finding.keep_float),
    )
    # The network says the same with either constant.
    np.testing.assert_allclose(before[0], after[0], atol=1e-6)
    assert decibel(after) > decibel(before) + 6
    assert decibel(kept) > decibel(before) + 6


def test_a_mask_of_infinity_cannot_even_be_exported_and_the_advised_one_can(
    find: Find, int8: Int8
) -> None:
    infinite = Attentive(float("-inf"))
    with pytest.raises(ExportError, match="needs finite values of 'masked_fill'"):
        int8(infinite)
    (finding,) = find(infinite).values()
    advised = float(finding.remedy.partition("such as ")[2].partition(",")[0])
    ((expected, got),) = int8(Attentive(advised))
    assert decibel((expected, got)) > 6


class Spread(nn.Module):
    """Channels that are up to a thousand times as wide as others, and what evens them out."""

    def __init__(self, *, equalized: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.act = nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU()
        self.second, self.head = nn.Conv2d(16, 16, 3, 2, 1), nn.Linear(16, 6)
        if not equalized:
            factors = torch.logspace(0, 3, 16)
            self.first.weight.data *= factors.reshape(-1, 1, 1, 1)
            self.first.bias.data *= factors  # type: ignore[union-attr]
            self.second.weight.data /= factors.reshape(1, -1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.second(self.act(self.first(x))).relu()
        return torch.as_tensor(self.head(features.mean((2, 3))))


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_channels_of_one_size_or_both_layers_in_float_bring_the_result_back(
    find: Find, int8: Int8, format_: str
) -> None:
    spread, equalized = Spread(equalized=False), Spread(equalized=True)
    finding = find(spread)["channel-ranges"]
    assert finding.keep_float == ("first", "act", "second")
    assert find(equalized) == {}
    (before,), (after,), (kept,) = (
        int8(spread, format_),
        int8(equalized, format_),
        int8(spread, format_, keep=finding.keep_float),
    )
    np.testing.assert_allclose(before[0], after[0], atol=1e-5)
    assert decibel(after) > decibel(before) + 15
    assert decibel(kept) > decibel(before) + 15


class Tailed(nn.Module):
    """SiLU, one channel of which is large at a bright spot, where nobody looks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.act, self.last = nn.Conv2d(3, 16, 1), nn.SiLU(), nn.Conv2d(16, 8, 1)
        with torch.no_grad():
            self.first.weight *= 6
            self.first.weight[0] = torch.tensor([100.0, 0, 0]).reshape(3, 1, 1)
            # Half of full brightness is the middle of these pictures.
            self.first.bias -= self.first.weight.sum((1, 2, 3)) / 2  # type: ignore[operator]
            self.first.bias[0] = -60  # type: ignore[index]
            self.last.weight[:, 0] *= 0.01

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.last(self.act(self.first(x))))


@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_a_range_that_is_cut_gives_a_tail_its_levels_back(
    find: Find, int8: Int8, format_: str
) -> None:
    network = Tailed()
    finding = find(network)["activation-tail"]
    assert 'calibrator = "percentile" and percentile = 99.9,' in finding.remedy
    assert finding.keep_float == ("first", "act", "last")
    cut = Quantization(calibrator="percentile", percentile=99.9)
    (before,), (after,) = int8(network, format_), int8(network, format_, policy=cut)
    assert decibel(after) > decibel(before) + 6
