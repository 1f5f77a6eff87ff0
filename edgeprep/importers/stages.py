"""Tables of the stages that imported preprocessing is made of."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

__all__ = ["Method", "Table", "center_crop", "color", "normalize", "resize", "shorter_side"]

Table: TypeAlias = dict[str, object]
Method: TypeAlias = Literal["bilinear", "bicubic"]

LEVELS = 255.0


def resize(size: Sequence[int], method: Method = "bilinear", *, antialias: bool = True) -> Table:
    """To `(height, width)`, whatever becomes of the aspect ratio."""
    return {"use": "resize", "size": list(size)} | _kind(method, antialias)


def shorter_side(size: int, method: Method = "bilinear", *, antialias: bool = True) -> Table:
    """The shorter side to `size`; the longer one is truncated, as all these libraries do."""
    return {"use": "resize", "size": size, "mode": "short"} | _kind(method, antialias)


def _kind(method: Method, antialias: bool) -> Table:
    options: Table = {} if method == "bilinear" else {"method": method}
    return options if antialias else options | {"antialias": False}


def center_crop(size: Sequence[int], rounding: Literal["floor", "torchvision"] = "floor") -> Table:
    """The middle `(height, width)`; half an odd remainder is rounded as `rounding` says."""
    table: Table = {"use": "center-crop", "size": list(size)}
    return table if rounding == "floor" else table | {"rounding": rounding}


def color(to: str) -> Table:
    """Another order of the channels, or grey."""
    return {"use": "color", "to": to}


def normalize(mean: Sequence[float], std: Sequence[float], factor: float) -> tuple[Table, ...]:
    """`(level · factor - mean) / std`, for levels in 0..255, in as few words as there are."""
    neutral = not any(mean) and all(value == 1 for value in std)
    # 1 / 255 is written with more or fewer digits.
    if abs(factor * LEVELS - 1) < 1e-6:
        if neutral:
            return ({"use": "scale"},)
        return ({"use": "normalize", "mean": list(mean), "std": list(std)},)
    if factor == 1 and neutral:
        return ()
    shift = [value / factor for value in mean or [0.0] * 3]
    spread = [value / factor for value in std or [1.0] * 3]
    return ({"use": "normalize", "mean": shift, "std": spread, "unit": "0..255"},)
