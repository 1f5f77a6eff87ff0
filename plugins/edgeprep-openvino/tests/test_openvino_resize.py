"""Bilinear resizes as gathers: the formula itself, from uint8 and float32, in any precision."""

from collections.abc import Callable
from math import floor

import numpy as np
import openvino
import pytest

from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Model, Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.gamma import Gamma
from edgeprep.stages.layout import Layout
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep_openvino import OpenVINOExporter
from edgeprep_openvino._resize import gather_resizes

# Levels of 0..255: three blends in float32. Interpolate itself is up to 0.1 off.
TOLERANCE = 1e-4

SIZES = [
    pytest.param((37, 53), (17, 19), id="37x53-17x19"),
    pytest.param((97, 61), (32, 32), id="97x61-32x32"),
    pytest.param((17, 19), (37, 53), id="upscale"),
    pytest.param((37, 53), (17, 99), id="narrower-and-longer"),
    pytest.param((37, 53), (37, 20), id="width-only"),
    pytest.param((37, 53), (20, 53), id="height-only"),
    pytest.param((64, 64), (32, 32), id="by-two"),
    pytest.param((50, 30), (1, 1), id="to-one-pixel"),
    pytest.param((1, 1), (9, 7), id="from-one-pixel"),
    pytest.param((1, 300), (1, 7), id="a-line"),
]


def slow_matrix(length_in: int, length_out: int) -> np.ndarray:
    """Two clamped neighbours around the centre, weighted by distance, in float64."""
    matrix = np.zeros((length_out, length_in))
    for i in range(length_out):
        centre = (i + 0.5) * length_in / length_out - 0.5
        below = floor(centre)
        for j, weight in ((below, below + 1 - centre), (below + 1, centre - below)):
            matrix[i, min(max(j, 0), length_in - 1)] += weight
    return matrix


def slow_resize(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = slow_matrix(pictures.shape[1], height), slow_matrix(pictures.shape[2], width)
    return np.einsum("yh,nhwc,xw->nyxc", rows, pictures.astype(np.float64), columns)


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    generator = np.random.default_rng(7)
    return generator.integers(0, 256, (1, height, width, channels), dtype=np.uint8)


def graph_of(size: tuple[int, int], *stages: Stage, color: str = "rgb") -> openvino.Model:
    image = ImageSpec(height=size[0], width=size[1], color=color)
    return openvino.Core().read_model(build_onnx(Chain(input=image, stages=stages)))


def gathered(*arguments: object, **options: object) -> openvino.Model:
    model = graph_of(*arguments, **options)
    gather_resizes(model)
    assert "Interpolate" not in operators(model)
    return model


def operators(model: openvino.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def run(model: openvino.Model, pictures: np.ndarray, precision: str = "f32") -> np.ndarray:
    hints = {"INFERENCE_PRECISION_HINT": precision}
    return openvino.Core().compile_model(model, "CPU", hints)(pictures)[0]


def plain(size: tuple[int, int], **options: object) -> Resize:
    return Resize(size=size, antialias=False, **options)


@pytest.mark.parametrize(("size_in", "size_out"), SIZES)
def test_noise_is_resized_as_the_formula(
    size_in: tuple[int, int], size_out: tuple[int, int]
) -> None:
    pictures = noise(*size_in)
    found = run(gathered(size_in, plain(size_out), DType()), pictures)
    assert np.abs(found - slow_resize(pictures, *size_out)).max() <= TOLERANCE


@pytest.mark.parametrize(("color", "channels"), [("grey", 1), ("bgra", 4)])
def test_pictures_of_one_and_four_channels_are_resized(color: str, channels: int) -> None:
    pictures = noise(61, 97, channels)
    found = run(gathered((61, 97), plain((20, 31)), DType(), color=color), pictures)
    assert np.abs(found - slow_resize(pictures, 20, 31)).max() <= TOLERANCE


def test_what_was_made_float32_before_is_resized_too() -> None:
    pictures = noise(61, 97)
    found = run(gathered((61, 97), Gamma(exponent=2.0), plain((20, 31))), pictures)
    curved = 255 * (pictures / 255.0) ** 2
    # The power is the engine's, in float32.
    assert np.abs(found - slow_resize(curved, 20, 31)).max() <= 1e-3


def test_a_letterbox_keeps_its_borders() -> None:
    pictures = noise(61, 97)
    found = run(gathered((61, 97), plain((50, 41), mode="letterbox"), DType()), pictures)
    # r = min(50 / 61, 41 / 97) = 0.4227; 61 r = 25.78 -> 26 rows; (50 - 26) / 2 = 12 above.
    expected = np.full((1, 50, 41, 3), 114.0)
    expected[:, 12:38] = slow_resize(pictures, 26, 41)
    assert np.abs(found - expected).max() <= TOLERANCE


def test_a_reduced_precision_stays_within_what_is_promised() -> None:
    pictures = noise(97, 61)
    found = run(gathered((97, 61), plain((32, 29)), DType()), pictures, "bf16")
    assert np.abs(found - slow_resize(pictures, 32, 29)).max() <= 0.55


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "nearest"},
        {"coordinate_transformation_mode": "align_corners"},
        {"antialias": True},
        {"axes": [2, 3]},
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_other_resizes_are_left_as_they_are(attributes: dict[str, object]) -> None:
    op = openvino.opset13
    axes = attributes.get("axes", [1, 2])
    settings = {
        "mode": "linear_onnx",
        "shape_calculation_mode": "sizes",
        "coordinate_transformation_mode": "half_pixel",
        **{name: value for name, value in attributes.items() if name != "axes"},
    }
    image = op.parameter([1, 8, 8, 4], np.float32)
    resized = op.interpolate(image, np.array([5, 5]), axes=np.array(axes), **settings)
    model = openvino.Model([resized], [image])
    gather_resizes(model)
    assert operators(model).count("Interpolate") == 1


def test_an_exported_model_resizes_by_gathers_and_equals_its_source(
    make_source: Callable[..., NetworkSource],
    load: Callable[[Model], object],
    read: Callable[[Model], openvino.Model],
    hard_pictures: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_source()
    chain = Chain(
        input=ImageSpec(height=21, width=17), stages=(plain((16, 16)), DType(), Layout(to="nchw"))
    )
    monkeypatch.setattr(source._made, "chain", chain)
    model = OpenVINOExporter().export(source, "fp32")
    assert "Interpolate" not in operators(read(model))
    for picture in hard_pictures.values():
        for answer, truth in zip(load(model).run([picture]), source.run(picture), strict=True):
            assert np.abs(answer - truth).max() <= 1e-4 * np.abs(truth).max()
