"""Numbers on the grids of int8, with gradients that go straight through the rounding."""

from collections.abc import Mapping

import torch

from edgeprep.interfaces import WeightRange

__all__ = ["WEIGHT_LEVELS", "on_activation_grid", "on_weight_grid"]

# Steps of weights to both sides of zero. "auto" leaves it to formats, some of which take fewer.
WEIGHT_LEVELS: Mapping[WeightRange, int] = {"full": 127, "reduced": 63, "auto": 63}
# A smaller step has an inverse that is infinite in float32.
_LEAST_STEP = 1e-30


def on_activation_grid(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """`values` as uint8 holds them: 256 steps per tensor, one of which is zero exactly.

    The gradient is 1 inside the range and 0 outside it.

    Args:
        values: floating point.
        low: the least value of the range.
        high: the greatest one.

    Source: arXiv:1712.05877, equations 1 and 12-13; `torch.fake_quantize_per_tensor_affine`.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / 255, _LEAST_STEP)
    zero = min(max(round(-low / step), 0), 255)
    # float32 under autocast as well: steps of bfloat16 are wider than those of uint8.
    return torch.fake_quantize_per_tensor_affine(values.float(), step, zero, 0, 255).to(
        values.dtype
    )


def on_weight_grid(weights: torch.Tensor, axis: int, levels: int = 127) -> torch.Tensor:
    """`weights` as int8 holds them: `levels` steps to both sides of 0, by channel of `axis`.

    Args:
        weights: floating point.
        axis: that of the output channels.
        levels: 127, or 63 where sums of products must not saturate without VNNI.

    Source: ONNX Runtime, NNCF and ai-edge-quantizer alike: symmetric, the greatest absolute value
    of a channel at the end of its range.
    """
    others = [other for other in range(weights.dim()) if other != axis]
    greatest = weights.detach().float().abs().amax(others)
    steps = torch.where(greatest > 0, greatest / levels, 1.0).clamp_min(_LEAST_STEP)
    zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        weights.float(), steps, zeros, axis, -levels, levels
    ).to(weights.dtype)
