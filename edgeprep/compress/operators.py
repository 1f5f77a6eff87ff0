"""Which operators of a network engines compute in integers, by the names that torch gives them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch.nn import functional

__all__ = [
    "PARTS",
    "QUANTIZED",
    "WEIGHTED",
    "OperatorKind",
    "count_macs",
    "first_factor",
    "is_quantized",
    "kind_of",
    "name_of",
    "part_of",
]

# "batch-norm" and "clip" become a part of the operator before them, where nothing else reads what
# that gives; "same" moves values about, and changes none; "float" is what engines leave in float.
OperatorKind = Literal[
    "convolution",
    "transposed convolution",
    "linear",
    "matmul",
    "arithmetic",
    "concatenation",
    "activation",
    "pooling",
    "resize",
    "normalization",
    "batch-norm",
    "clip",
    "same",
    "float",
]
# Their second tensor is a weight.
WEIGHTED: tuple[OperatorKind, ...] = ("convolution", "transposed convolution", "linear")
# What at least two of ONNX Runtime's QDQ, NNCF and ai-edge-quantizer put into integers.
QUANTIZED: tuple[OperatorKind, ...] = (
    *WEIGHTED,
    "matmul",
    "arithmetic",
    "concatenation",
    "activation",
    "pooling",
    "resize",
    "normalization",
    "batch-norm",
    "clip",
)

_NAMES: Mapping[OperatorKind, str] = {
    "convolution": "conv1d conv2d conv3d",
    "transposed convolution": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear": "linear",
    "matmul": "matmul rmatmul mm bmm addmm baddbmm einsum",
    # NOTE: no division. TFLite's does not run in int8, and ONNX Runtime leaves it in float.
    "arithmetic": "add radd iadd sub rsub isub subtract mul rmul imul multiply maximum minimum",
    "concatenation": "cat concat concatenate stack hstack vstack dstack",
    "activation": "sigmoid tanh hardswish hardsigmoid softmax gelu leaky_relu prelu",
    "pooling": "mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d",
    "resize": "interpolate upsample",
    "normalization": "layer_norm group_norm instance_norm rms_norm",
    "batch-norm": "batch_norm",
    "clip": "relu relu6 hardtanh clamp clip clamp_min clamp_max",
    "same": "reshape view view_as reshape_as flatten ravel unflatten permute transpose t swapaxes "
    "swapdims movedim moveaxis squeeze unsqueeze contiguous chunk split split_with_sizes unbind "
    "tensor_split getitem narrow select index_select expand expand_as repeat tile dropout "
    "dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout max_pool1d max_pool2d "
    "max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d pad pixel_shuffle "
    "pixel_unshuffle channel_shuffle roll flip unfold clone detach to float type get",
}
_KINDS: Mapping[str, OperatorKind] = {
    name: kind for kind, names in _NAMES.items() for name in names.split()
}


def name_of(function: Callable[..., Any]) -> str:
    """The operator that `function` computes, such as "add" for `Tensor.__iadd__`."""
    return str(getattr(function, "__name__", "")).strip("_")


def kind_of(name: str) -> OperatorKind:
    """What engines do with the operator `name`."""
    return _KINDS.get(name, "float")


def first_factor(operator: str) -> int:
    """Which of the tensors that a product reads stands on its left."""
    return {"addmm": 1, "baddbmm": 1, "rmatmul": 1}.get(operator, 0)


def is_quantized(operator: str, index: int, *, constant: bool) -> bool:
    """Whether engines have 8 bits for the tensor `index` of those that `operator` reads.

    They have not for biases, statistics, slopes and ends of ranges.
    """
    kind = kind_of(operator)
    if kind in WEIGHTED:
        return index < 2
    if kind in ("normalization", "batch-norm", "clip") or operator == "prelu":
        return index == 0
    # What these add comes first; exporters make another operator of it where it is computed.
    return not (operator in ("addmm", "baddbmm") and index == 0 and constant)


def count_macs(kind: OperatorKind, tensors: Sequence[torch.Tensor], output: torch.Tensor) -> int:
    """How many multiplications it takes to compute `output` from `tensors`."""
    if kind == "convolution":
        return output.numel() * tensors[1][0].numel()
    if kind == "transposed convolution":
        return tensors[0].numel() * tensors[1][0].numel()
    if kind in ("linear", "matmul"):
        # NOTE: what addmm adds comes before what it multiplies.
        return output.numel() * tensors[-2 if kind == "matmul" else 0].shape[-1]
    return 0


def part_of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The same as `function`, written in smaller operators as engines compute it; None: it is one.

    Functions of `torch.nn.functional` in Python hand themselves over as a whole; what is inside
    one is seen only when it is called with that turned off.
    """
    return PARTS.get(name_of(function))


def _silu(input: torch.Tensor, inplace: bool = False) -> torch.Tensor:
    return input * torch.sigmoid(input)


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    # As torch documents scaled_dot_product_attention.
    if enable_gqa:
        groups = query.size(-3) // key.size(-3)
        key, value = (one.repeat_interleave(groups, -3) for one in (key, value))
    factor = query.size(-1) ** -0.5 if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = (
            scores.masked_fill(attn_mask.logical_not(), -torch.inf)
            if attn_mask.dtype == torch.bool
            else scores + attn_mask
        )
    chances = torch.softmax(scores, -1)
    return torch.matmul(functional.dropout(chances, dropout_p, training=dropout_p > 0), value)


def _opened(function: Any) -> Callable[..., Any]:
    # The function itself with other globals, so that torch is not changed for anyone else.
    closed = {
        name: lambda *_: False for name in function.__globals__ if name.startswith("has_torch_func")
    }
    twin = type(function)(
        function.__code__, {**function.__globals__, **closed}, None, function.__defaults__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    opened: Callable[..., Any] = twin
    return opened


PARTS: Mapping[str, Callable[..., Any]] = {
    "silu": _silu,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _opened(functional.multi_head_attention_forward),
}
