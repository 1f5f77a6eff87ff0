"""What each ONNX operator is in torch: a table from its name to a small function."""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from edgeprep.stages.primitives.onnx_module import normalization as normalization
from edgeprep.stages.primitives.onnx_module import windows as windows
from edgeprep.stages.primitives.onnx_module.arrays import ARRAYS, number
from edgeprep.stages.primitives.onnx_module.node import Function, OnnxNode
from edgeprep.stages.primitives.onnx_module.reductions import REDUCTIONS, in_float
from edgeprep.stages.primitives.onnx_module.resize import resize

__all__ = ["FOLDED", "MAY_BE_NUMBERS", "NUMBERS", "OPERATORS"]

Choice = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Function:
    return lambda node, x: function(x)


def _binary(function: Choice) -> Function:
    return lambda node, a, b: function(a, b)


def _variadic(function: Choice) -> Function:
    return lambda node, *tensors: reduce(function, tensors)


def _comparison(compare: Choice) -> Function:
    return _binary(lambda a, b: compare(in_float(a), in_float(b)))


def _extreme(choose: Choice) -> Function:
    return _variadic(lambda a, b: choose(in_float(a), in_float(b)).to(a.dtype))


def _divide(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _modulo(node: OnnxNode, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


def _power(node: OnnxNode, x: torch.Tensor, exponent: Any) -> torch.Tensor:
    if isinstance(exponent, list):  # one for each element
        exponent = node.constant(partial(np.array, exponent, np.float32))
    powers: torch.Tensor = x.pow(exponent)
    return powers.to(x.dtype)


def _clip(node: OnnxNode, x: torch.Tensor, low: Any = None, high: Any = None) -> torch.Tensor:
    bounds = number(low), number(high)
    return x if bounds == (None, None) else in_float(x).clamp(*bounds).to(x.dtype)


def _dropout(node: OnnxNode, x: torch.Tensor, ratio: Any = None, training: Any = None) -> Any:
    node.get("seed", 0)
    if number(training):
        raise node.refuse(training_mode=True)
    return x


def _where(
    node: OnnxNode, condition: torch.Tensor, a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    return torch.where(condition, in_float(a), in_float(b)).to(a.dtype)


def _gelu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def _hard_sigmoid(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    return x.mul(node.get("alpha", 0.2)).add(node.get("beta", 0.5)).clamp(0, 1)


def _prelu(node: OnnxNode, x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    return torch.where(x < 0, x * slope, x)


def _selu(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return torch.mul(functional.elu(x, alpha), gamma)


def _gemm(
    node: OnnxNode, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None = None
) -> torch.Tensor:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.transpose(0, 1) if node.get("transA", 0) else a
    b = b if node.get("transB", 0) else b.transpose(0, 1)
    if alpha == beta == 1 and (c is None or c.ndim == 1):
        return functional.linear(a, b, c)
    product = functional.linear(a, b).mul(alpha)
    return product if c is None else product + c * beta


def _local_response(node: OnnxNode, x: torch.Tensor) -> torch.Tensor:
    size = node.get("size", 1)
    alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    if size % 2 == 0:  # torch's window then lies one channel off
        raise node.refuse(size=size)
    return functional.local_response_norm(x, size, alpha, beta, bias)


POINTWISE: Mapping[str, Function] = {
    "Abs": _unary(torch.abs),
    "Acos": _unary(torch.acos),
    "Add": _binary(torch.add),
    "And": _binary(torch.logical_and),
    "Asin": _unary(torch.asin),
    "Atan": _unary(torch.atan),
    "Ceil": _unary(torch.ceil),
    "Celu": lambda node, x: functional.celu(x, node.get("alpha", 1.0)),
    "Clip": _clip,
    "Cos": _unary(torch.cos),
    "Cosh": _unary(torch.cosh),
    "Div": _divide,
    "Dropout": _dropout,
    "Elu": lambda node, x: functional.elu(x, node.get("alpha", 1.0)),
    "Equal": _comparison(torch.eq),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Floor": _unary(torch.floor),
    "Gelu": _gelu,
    "Greater": _comparison(torch.gt),
    "GreaterOrEqual": _comparison(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _unary(functional.hardswish),
    "Identity": _unary(lambda x: x),
    "IsNaN": _unary(torch.isnan),
    "LeakyRelu": lambda node, x: functional.leaky_relu(x, node.get("alpha", 0.01)),
    "Less": _comparison(torch.lt),
    "LessOrEqual": _comparison(torch.le),
    "Log": _unary(torch.log),
    "Max": _extreme(torch.maximum),
    "Mean": lambda node, *tensors: reduce(torch.add, tensors) / len(tensors),
    "Min": _extreme(torch.minimum),
    "Mish": _unary(functional.mish),
    "Mod": _modulo,
    "Mul": _binary(torch.mul),
    "Neg": _unary(torch.neg),
    "Not": _unary(torch.logical_not),
    "Or": _binary(torch.logical_or),
    "PRelu": _prelu,
    "Pow": _power,
    "Reciprocal": _unary(torch.reciprocal),
    "Relu": _unary(torch.relu),
    "Round": _unary(torch.round),  # halves to the even neighbour, in both
    "Selu": _selu,
    "Sigmoid": _unary(torch.sigmoid),
    "Sign": _unary(torch.sign),
    "Sin": _unary(torch.sin),
    "Sinh": _unary(torch.sinh),
    "Softplus": _unary(functional.softplus),
    "Softsign": _unary(functional.softsign),
    "Sqrt": _unary(torch.sqrt),
    "Sub": _binary(torch.sub),
    "Sum": _variadic(torch.add),
    "Swish": lambda node, x: x * torch.sigmoid(node.get("alpha", 1.0) * x),
    "Tan": _unary(torch.tan),
    "Tanh": _unary(torch.tanh),
    "ThresholdedRelu": lambda node, x: x * (x > node.get("alpha", 1.0)).to(x.dtype),
    "Where": _where,
    "Xor": _binary(torch.ne),  # of booleans; LiteRT has no other
}

LAYERS: Mapping[str, Function] = {
    "AveragePool": windows.average_pool,
    "BatchNormalization": normalization.batch_normalization,
    "Conv": windows.convolve,
    "ConvTranspose": windows.convolve_transposed,
    "Einsum": lambda node, *tensors: torch.einsum(node.get("equation", ""), *tensors),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda node, x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    "GroupNormalization": normalization.group_normalization,
    "InstanceNormalization": normalization.instance_normalization,
    "LRN": _local_response,
    "LayerNormalization": normalization.layer_normalization,
    "LogSoftmax": lambda node, x: x.log_softmax(node.get("axis", -1)),
    "LpNormalization": normalization.lp_normalization,
    "MatMul": _binary(torch.matmul),
    "MaxPool": windows.max_pool,
    "Resize": resize,
    "Softmax": lambda node, x: x.softmax(node.get("axis", -1)),
}

OPERATORS: Mapping[str, Function] = {**POINTWISE, **LAYERS, **ARRAYS, **REDUCTIONS}

# Inputs that must be constants of the graph, and come as Python numbers.
NUMBERS: Mapping[str, tuple[int, ...]] = {
    "Clip": (1, 2),
    "ConstantOfShape": (0,),
    "CumSum": (1,),
    "Dropout": (1, 2),
    "Expand": (1,),
    "Pad": (1, 2, 3),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    **dict.fromkeys(REDUCTIONS, (1,)),
}
# Inputs that come as Python numbers where they are constants, and may be computed as well.
MAY_BE_NUMBERS: Mapping[str, tuple[int, ...]] = {"Gather": (1,), "Pow": (1,)}
# Operators whose inputs must all be constants.
FOLDED = ("Range",)
