"""The ONNX operators that networks are made of, each against ONNX Runtime."""

import numpy as np
import pytest

from edgeprep.stages.primitives.onnx_module.operators import LAYERS

RNG = np.random.default_rng(0)


def case(operator, *inputs, **options):
    return operator, inputs, options


def constant(array):
    """As the check tells constants of the graph from what arrives."""
    return [array]


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.1, 2, shape).astype(np.float32)


def numbers(*values, dtype=np.int64):
    return constant(np.array(values, dtype))


x4 = normal(2, 4, 7, 6)
x5 = normal(1, 2, 4, 5, 6)
image = normal(1, 3, 9, 11)
weight = constant(normal(6, 3, 3, 3) / 5)
bias = constant(normal(6))
channel = [constant(positive(4)), constant(normal(4))]

CASES = {
    "Conv": case("Conv", image, weight),
    "Conv bias": case("Conv", image, weight, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "Conv uneven": case("Conv", image, weight, bias, pads=[0, 1, 2, 0], strides=[2, 1]),
    "Conv dilated": case("Conv", image, weight, dilations=[2, 3], pads=[2, 3, 2, 3]),
    "Conv groups": case("Conv", image, constant(normal(6, 1, 3, 3)), group=3),
    "Conv computed weight": case("Conv", image, normal(6, 3, 3, 3)),
    **{
        f"Conv {pad} stride {stride}": case(
            "Conv", image, weight, auto_pad=pad, strides=[stride, stride]
        )
        for pad in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
        for stride in (1, 2, 3)
    },
    "Conv 1d": case("Conv", normal(1, 3, 12), constant(normal(4, 3, 5)), pads=[1, 2]),
    "Conv 3d": case("Conv", x5, constant(normal(3, 2, 3, 3, 3)), pads=[1] * 6),
    "ConvTranspose": case("ConvTranspose", x4, constant(normal(4, 3, 2, 2)), strides=[2, 2]),
    "ConvTranspose padded": case(
        "ConvTranspose",
        x4,
        constant(normal(4, 3, 3, 3)),
        constant(normal(3)),
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    ),
    "ConvTranspose doubling": case(
        "ConvTranspose", x4, constant(normal(4, 3, 4, 4)), strides=[2, 2], pads=[1, 1, 1, 1]
    ),
    "ConvTranspose uneven": case(
        "ConvTranspose", x4, constant(normal(4, 3, 4, 3)), strides=[2, 1], pads=[1, 0, 0, 2]
    ),
    "ConvTranspose uneven with bias": case(
        "ConvTranspose",
        x4,
        constant(normal(4, 3, 3, 3)),
        constant(normal(3)),
        strides=[3, 2],
        pads=[0, 1, 1, 0],
        output_padding=[2, 1],
    ),
    "ConvTranspose output_shape": case(
        "ConvTranspose", x4, constant(normal(4, 3, 3, 3)), strides=[2, 2], output_shape=[14, 12]
    ),
    **{
        f"ConvTranspose {pad}": case(
            "ConvTranspose", x4, constant(normal(4, 3, 3, 3)), strides=[2, 2], auto_pad=pad
        )
        for pad in ("SAME_UPPER", "SAME_LOWER", "VALID")
    },
    "ConvTranspose groups": case(
        "ConvTranspose", x4, constant(normal(4, 1, 3, 3)), group=2, dilations=[2, 1]
    ),
    "ConvTranspose 1d": case("ConvTranspose", normal(1, 3, 9), constant(normal(3, 2, 4))),
    **{
        f"{name} {title}": case(name, x4, **{"kernel_shape": [3, 2], **options})
        for name in ("MaxPool", "AveragePool")
        for title, options in {
            "plain": {},
            "strides": {"strides": [2, 2]},
            "padded": {"pads": [1, 1, 1, 1], "strides": [2, 1]},
            "uneven": {"pads": [0, 1, 2, 0], "strides": [2, 2]},
            "wide border": {"kernel_shape": [3, 3], "pads": [2, 2, 2, 2]},
            "SAME_UPPER": {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
            "SAME_LOWER": {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
            "VALID": {"auto_pad": "VALID", "strides": [3, 3]},
            "ceil": {"ceil_mode": 1, "strides": [3, 3]},
            "ceil padded": {"ceil_mode": 1, "strides": [3, 3], "pads": [1, 1, 1, 1]},
            "ceil beyond": {"kernel_shape": [1, 1], "ceil_mode": 1, "strides": [4, 4]},
        }.items()
    },
    **{
        f"AveragePool counting the border, {title}": case(
            "AveragePool", x4, kernel_shape=[3, 3], count_include_pad=1, strides=[2, 2], **options
        )
        for title, options in {
            "even": {"pads": [1, 1, 1, 1]},
            "uneven": {"pads": [0, 1, 2, 0]},
            "ceil": {"pads": [1, 0, 1, 0], "ceil_mode": 1},
        }.items()
    },
    "MaxPool dilated": case("MaxPool", x4, kernel_shape=[2, 3], dilations=[3, 2]),
    "MaxPool uint8": case(
        "MaxPool", RNG.integers(0, 256, (1, 1, 5, 6), np.uint8), kernel_shape=[2, 2]
    ),
    "MaxPool 1d": case("MaxPool", normal(1, 3, 12), kernel_shape=[3], strides=[2]),
    "AveragePool 1d": case("AveragePool", normal(1, 3, 12), kernel_shape=[3], strides=[2]),
    "MaxPool 3d": case("MaxPool", x5, kernel_shape=[2, 2, 2]),
    "AveragePool 3d": case("AveragePool", x5, kernel_shape=[2, 2, 2], pads=[0, 1, 0, 0, 0, 0]),
    "GlobalAveragePool": case("GlobalAveragePool", x4),
    "GlobalMaxPool": case("GlobalMaxPool", x5),
    "BatchNormalization": case(
        "BatchNormalization", x4, *channel, constant(normal(4)), constant(positive(4)), epsilon=1e-3
    ),
    "InstanceNormalization": case("InstanceNormalization", x4, *channel, epsilon=1e-3),
    "GroupNormalization": case("GroupNormalization", x4, *channel, num_groups=2, opset=21),
    "LayerNormalization": case(
        "LayerNormalization", x4, constant(positive(6)), constant(normal(6))
    ),
    "LayerNormalization of two axes": case(
        "LayerNormalization", x4, constant(positive(7, 6)), axis=-2, epsilon=1e-3
    ),
    "LayerNormalization broadcast": case(
        "LayerNormalization", x4, constant(positive(1)), constant(normal(7, 6)), axis=2
    ),
    "LpNormalization": case("LpNormalization", np.concatenate([x4, 0 * x4])),
    "LpNormalization 1": case("LpNormalization", x4, axis=1, p=1),
    "LRN": case("LRN", x4, size=3, alpha=0.1, beta=0.5, bias=2.0),
    "Softmax": case("Softmax", x4),
    "Softmax of channels": case("Softmax", x4, axis=1),
    "LogSoftmax": case("LogSoftmax", x4, axis=1),
    "MatMul": case("MatMul", x4, constant(normal(6, 5))),
    "MatMul of pictures": case("MatMul", x4, normal(4, 6, 2)),
    "MatMul of vectors": case("MatMul", normal(6), normal(6)),
    "Gemm": case("Gemm", normal(3, 4), constant(normal(4, 5)), constant(normal(5))),
    "Gemm transposed": case(
        "Gemm", normal(4, 3), constant(normal(5, 4)), constant(normal(3, 1)), transA=1, transB=1
    ),
    "Gemm weighted": case(
        "Gemm", normal(3, 4), constant(normal(4, 5)), constant(normal(5)), alpha=0.5, beta=2.0
    ),
    "Gemm without bias": case("Gemm", normal(3, 4), constant(normal(4, 5)), alpha=2.0),
    "Einsum": case("Einsum", normal(2, 3, 4), normal(2, 4, 5), equation="bij,bjk->bki"),
}
CASES |= {
    **{
        f"Resize nearest {coordinates} {rounding} {sizes}": case(
            "Resize",
            image,
            None,
            None,
            numbers(1, 3, *sizes),
            coordinate_transformation_mode=coordinates,
            nearest_mode=rounding,
        )
        for coordinates in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
        for sizes in ((18, 22), (5, 13), (9, 11))
    },
    **{
        f"Resize {mode} {coordinates} {sizes}": case(
            "Resize",
            image,
            None,
            None,
            numbers(1, 3, *sizes),
            mode=mode,
            coordinate_transformation_mode=coordinates,
        )
        for mode in ("linear", "cubic")
        for coordinates in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
        for sizes in ((18, 22), (5, 13), (1, 1), (9, 22))
    },
    **{
        f"Resize {mode} scales": case(
            "Resize", image, None, numbers(1, 1, 1.7, 0.6, dtype=np.float32), mode=mode
        )
        for mode in ("nearest", "linear", "cubic")
    },
    **{
        f"Resize {mode} antialiased, exclude {exclude}": case(
            "Resize",
            image,
            None,
            None,
            numbers(1, 3, 4, 15),
            mode=mode,
            antialias=1,
            exclude_outside=exclude,
        )
        for mode in ("linear", "cubic")
        for exclude in (0, 1)
    },
    "Resize cubic a": case(
        "Resize", image, None, None, numbers(1, 3, 14, 6), mode="cubic", cubic_coeff_a=-0.5
    ),
    "Resize cubic exclude": case(
        "Resize", image, None, None, numbers(1, 3, 14, 16), mode="cubic", exclude_outside=1
    ),
    "Resize channels last": case(
        "Resize", normal(1, 9, 11, 3), None, None, numbers(1, 5, 13, 3), mode="linear"
    ),
    "Resize axes": case("Resize", image, None, None, numbers(5, 13), mode="linear", axes=[2, 3]),
    "Resize 1d": case("Resize", normal(1, 3, 8), None, None, numbers(1, 3, 13), mode="linear"),
    "Resize uint8": case(
        "Resize", RNG.integers(0, 256, (1, 3, 4, 5), np.uint8), None, None, numbers(1, 3, 8, 10)
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_a_layer_computes_what_onnx_runtime_computes(name, hold_to_onnx_runtime):
    operator, inputs, options = CASES[name]
    hold_to_onnx_runtime(operator, *inputs, **options)


def test_every_operator_has_a_case():
    assert {operator for operator, _, _ in CASES.values()} == set(LAYERS)
