"""The ONNX operators that work on elements and axes, each against ONNX Runtime."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgeprep.stages.primitives.onnx_module.arrays import ARRAYS
from edgeprep.stages.primitives.onnx_module.operators import POINTWISE
from edgeprep.stages.primitives.onnx_module.reductions import REDUCTIONS

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


def scalar(value, dtype=np.float32):
    return constant(np.array(value, dtype))


def tensor(value, dtype):
    return helper.make_tensor("value", dtype, np.shape(value), np.ravel(value))


# Among them neighbours, and both ends.
LEVELS = np.array([0, 1, 2, 100, 127, 128, 200, 254, 255], np.uint8)
HALVES = np.arange(-4, 4.5, 0.5, dtype=np.float32)
x4 = normal(2, 4, 7, 6)
whole = np.array([-7, -3, -1, 1, 3, 7, 100], np.int32)
others = np.array([2, -2, 3, 3, -2, 2, -7], np.int32)
levels, flipped = LEVELS, LEVELS[::-1].copy()
booleans, opposite = LEVELS > 100, LEVELS % 2 == 0
UNARY = (
    "Abs",
    "Atan",
    "Ceil",
    "Cos",
    "Cosh",
    "Elu",
    "Celu",
    "Selu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Mish",
    "Neg",
    "Relu",
    "Round",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
)

CASES = {
    **{name: case(name, np.concatenate([HALVES, normal(8)])) for name in UNARY},
    **{name: case(name, positive(3, 5)) for name in ("Log", "Reciprocal", "Sqrt")},
    **{name: case(name, RNG.uniform(-1, 1, 9).astype(np.float32)) for name in ("Acos", "Asin")},
    "Abs int32": case("Abs", whole),
    "Neg int32": case("Neg", whole),
    "Sign int32": case("Sign", whole),
    "Not": case("Not", booleans),
    "IsNaN": case("IsNaN", np.array([0, np.nan, np.inf], np.float32)),
    "Celu 2": case("Celu", HALVES, alpha=2.0),
    "Elu 0.3": case("Elu", HALVES, alpha=0.3),
    "Gelu tanh": case("Gelu", HALVES, approximate="tanh"),
    "HardSigmoid 1/6": case("HardSigmoid", HALVES, alpha=1 / 6, beta=0.4),
    "LeakyRelu 0.2": case("LeakyRelu", HALVES, alpha=0.2),
    "Selu 2": case("Selu", HALVES, alpha=2.0, gamma=3.0),
    "ThresholdedRelu 2": case("ThresholdedRelu", HALVES, alpha=2.0),
    "Swish": case("Swish", HALVES, opset=24),
    "Swish 2": case("Swish", HALVES, opset=24, alpha=2.0),
    "PRelu": case("PRelu", x4, constant(positive(4, 1, 1))),
    "PRelu of one": case("PRelu", x4, numbers(0.25, dtype=np.float32)),
    "Clip": case("Clip", HALVES, scalar(-1.5), scalar(2)),
    "Clip below": case("Clip", HALVES, scalar(0)),
    "Clip above": case("Clip", HALVES, None, scalar(0)),
    "Clip not": case("Clip", HALVES),
    "Clip uint8": case("Clip", levels, scalar(2, np.uint8), scalar(200, np.uint8)),
    "Clip crossed": case("Clip", HALVES, scalar(2), scalar(-1)),
    "Dropout": case("Dropout", HALVES, scalar(0.5)),
    "Dropout not training": case("Dropout", HALVES, scalar(0.5), scalar(False, np.bool_), seed=3),
    "Mod": case("Mod", whole, constant(others)),
    "Mod uint8": case("Mod", levels, scalar(7, np.uint8)),
    "Mod float": case("Mod", HALVES, scalar(-1.5), fmod=1),
    "Mod fmod int32": case("Mod", whole, constant(others), fmod=1),
    "Div int32": case("Div", whole, constant(others)),
    "Div uint8": case("Div", levels, scalar(7, np.uint8)),
    "Pow": case("Pow", positive(3, 4), normal(4)),
    "Pow 2": case("Pow", HALVES, scalar(2)),
    "Pow of one": case("Pow", HALVES, numbers(3, dtype=np.float32)),
    "Pow int64 exponent": case("Pow", HALVES, scalar(3, np.int64)),
    "Pow exponents": case("Pow", positive(3, 2), numbers(0.5, -2, dtype=np.float32)),
    "Pow int32": case("Pow", whole, scalar(2, np.int32)),
    **{f"{name} broadcast": case(name, x4, normal(4, 1, 6)) for name in ("Add", "Mul", "Sub")},
    **{
        f"{name} constant": case(name, x4, constant(positive(4, 1, 1)))
        for name in ("Add", "Div", "Mul", "Sub", "Max", "Min")
    },
    **{f"{name} uint8": case(name, levels, flipped) for name in ("Add", "Mul", "Sub")},
    **{f"{name} uint8": case(name, levels, flipped) for name in ("Max", "Min")},
    **{f"{name} int32": case(name, whole, others) for name in ("Add", "Mul", "Sub", "Max")},
    **{
        f"{name} of three": case(name, x4, normal(6), normal(2, 1, 1, 1))
        for name in ("Max", "Min", "Sum", "Mean")
    },
    "Max of one": case("Max", x4),
    "Max of NaN": case("Max", np.array([np.nan, 1], np.float32), np.array([0, np.nan], np.float32)),
    **{
        f"{name} {kind}": case(name, a, b)
        for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
        for kind, a, b in (
            ("float", HALVES, HALVES[::-1].copy()),
            ("uint8", levels, flipped),
            ("int64", whole.astype(np.int64), others.astype(np.int64)),
        )
    },
    "Equal bool": case("Equal", booleans, opposite),
    **{name: case(name, booleans, opposite) for name in ("And", "Or", "Xor")},
    "Where": case("Where", x4 > 0, x4, normal(6)),
    "Where uint8": case("Where", booleans, levels, constant(np.array(7, np.uint8))),
    **{
        f"Cast {a} to {b}": case(
            "Cast",
            np.array([0, 1, 2.5, 3.5, 100.9], a),
            to=helper.np_dtype_to_tensor_dtype(np.dtype(b)),
        )
        for a in ("float32", "uint8", "int32", "int64", "float16", "float64", "int8")
        for b in ("float32", "uint8", "int32", "int64", "float16", "bool")
        if a != b
    },
    "Cast negative": case("Cast", -HALVES, to=TensorProto.INT32),
    "Cast bool": case("Cast", booleans, to=TensorProto.FLOAT),
    "CastLike": case("CastLike", whole, normal(1)),
    "Concat": case("Concat", x4, constant(normal(2, 1, 7, 6)), axis=1),
    "Concat from the end": case("Concat", x4, x4, axis=-1),
    "Constant": case("Constant", value=tensor([[1.0, 2.0]], TensorProto.FLOAT)),
    "Constant float": case("Constant", value_float=1.5),
    "Constant floats": case("Constant", value_floats=[1.5, 2.5]),
    "Constant int": case("Constant", value_int=3),
    "Constant ints": case("Constant", value_ints=[3, 4]),
    "ConstantOfShape": case("ConstantOfShape", numbers(2, 3)),
    "ConstantOfShape of ones": case(
        "ConstantOfShape", numbers(2, 3), value=tensor([1], TensorProto.INT64)
    ),
    "CumSum": case("CumSum", normal(3, 4), scalar(1, np.int64)),
    "CumSum backwards": case("CumSum", whole, scalar(0, np.int32), exclusive=1, reverse=1),
    "DepthToSpace DCR": case("DepthToSpace", normal(2, 12, 3, 4), blocksize=2),
    "DepthToSpace CRD": case("DepthToSpace", normal(2, 12, 3, 4), blocksize=2, mode="CRD"),
    "SpaceToDepth": case("SpaceToDepth", normal(2, 3, 6, 4), blocksize=2),
    "Expand": case("Expand", normal(4, 1, 6), numbers(2, 1, 5, 1)),
    "Flatten": case("Flatten", x4),
    "Flatten 0": case("Flatten", x4, axis=0),
    "Flatten -1": case("Flatten", x4, axis=-1),
    "Gather": case("Gather", x4, numbers(2, -1, 0), axis=1),
    "Gather one": case("Gather", x4, scalar(-2, np.int64), axis=2),
    "Gather table": case("Gather", x4, constant(np.array([[0, 1], [-1, 2]])), axis=-1),
    "Gather computed": case("Gather", x4, np.array([[0, -1]], np.int32), axis=1),
    "Gather uint8": case("Gather", levels, np.array([[8, 0], [3, 3]])),
    "GatherElements": case(
        "GatherElements", normal(3, 4), np.array([[0, -1, 2, 1]], np.int64), axis=0
    ),
    "Pad": case("Pad", x4, numbers(0, 0, 1, 2, 0, 0, 3, 0)),
    "Pad value": case("Pad", x4, numbers(0, 1, 0, 0, 1, 0, 0, 0), scalar(0.5)),
    "Pad cutting": case("Pad", x4, numbers(0, 0, -1, 2, 0, 0, -2, -1), scalar(3)),
    "Pad axes": case("Pad", x4, numbers(1, 2, 3, 4), None, numbers(-1, 1)),
    "Pad uint8": case("Pad", levels, numbers(1, 1), scalar(9, np.uint8)),
    **{
        f"Pad {mode}": case("Pad", x4, numbers(0, 1, 2, 3, 0, 2, 0, 4), mode=mode)
        for mode in ("reflect", "edge", "wrap")
    },
    "Pad edge cutting": case("Pad", x4, numbers(0, 0, -1, 2, 0, 0, 2, -1), mode="edge"),
    "Range": case("Range", *(scalar(n, np.int64) for n in (2, 11, 3))),
    "Range float": case("Range", *(scalar(n) for n in (1, -1, -0.5))),
    "Reshape": case("Reshape", x4, numbers(0, -1, 3)),
    "Reshape allowzero": case("Reshape", np.zeros((0, 3), np.float32), numbers(3, 0), allowzero=1),
    "Shape": case("Shape", x4),
    "Shape part": case("Shape", x4, start=-3, end=-1),
    "Size": case("Size", x4),
    "Slice": case("Slice", x4, numbers(1, -5), numbers(2**63 - 1, -1), numbers(1, 2)),
    "Slice steps": case("Slice", x4, numbers(0, 1), numbers(7, 6), numbers(2, -1), numbers(3, 2)),
    "Slice backwards": case(
        "Slice", x4, numbers(-1, 5), numbers(-(2**63), 0), numbers(2, 3), numbers(-1, -2)
    ),
    "Slice first axes": case("Slice", x4, numbers(0, 1), numbers(1, 3)),
    "Slice of nothing": case("Slice", x4, numbers(3), numbers(3), numbers(2)),
    "Split": case("Split", x4, axis=1, outputs=2, num_outputs=2),
    "Split uneven": case("Split", x4, axis=-2, outputs=3, num_outputs=3),
    "Split sizes": case("Split", x4, numbers(1, 2, 3), axis=3, outputs=3),
    "Split before opset 18": case("Split", x4, outputs=2, opset=17),
    "Squeeze": case("Squeeze", normal(1, 3, 1, 2)),
    "Squeeze axes": case("Squeeze", normal(1, 3, 1, 2), numbers(-2)),
    "Unsqueeze": case("Unsqueeze", x4, numbers(0, -1)),
    "Tile": case("Tile", normal(2, 3), numbers(2, 3)),
    "Transpose": case("Transpose", x4, perm=[0, 2, 3, 1]),
    "Transpose reversed": case("Transpose", normal(2, 3, 4)),
    "Trilu": case("Trilu", normal(4, 5)),
    "Trilu lower": case("Trilu", normal(4, 5), scalar(-1, np.int64), upper=0),
    # Reductions.
    **{
        f"{name} {title}": case(name, values, *axes, **attributes)
        for name, values in {
            "ReduceL1": x4,
            "ReduceL2": x4,
            "ReduceLogSum": positive(2, 4, 7, 6),
            "ReduceLogSumExp": x4,
            "ReduceMax": x4,
            "ReduceMean": x4,
            "ReduceMin": x4,
            "ReduceProd": x4,
            "ReduceSum": x4,
            "ReduceSumSquare": x4,
        }.items()
        for title, axes, attributes in (
            ("of all", [], {}),
            ("of two", [numbers(-1, 1)], {}),
            ("dropping axes", [numbers(0, 2)], {"keepdims": 0}),
        )
    },
    "ReduceMean before opset 18": case("ReduceMean", x4, opset=17, axes=[2, 3]),
    "ReduceMax uint8": case("ReduceMax", RNG.integers(0, 256, (3, 4), np.uint8), numbers(1)),
    "ReduceSum int32": case("ReduceSum", whole, keepdims=0),
    **{
        f"{name} {title}": case(name, np.round(x4 * 2), **attributes)
        for name in ("ArgMax", "ArgMin")
        for title, attributes in {
            "first": {},
            "last": {"select_last_index": 1, "axis": 1},
            "dropping axes": {"keepdims": 0, "axis": -1},
        }.items()
    },
}


@pytest.mark.parametrize("name", list(CASES))
def test_an_operator_computes_what_onnx_runtime_computes(name, hold_to_onnx_runtime):
    operator, inputs, options = CASES[name]
    hold_to_onnx_runtime(operator, *inputs, **options)


def test_every_operator_has_a_case():
    assert {operator for operator, _, _ in CASES.values()} == set(
        {**POINTWISE, **ARRAYS, **REDUCTIONS}
    )
