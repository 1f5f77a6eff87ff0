"""ONNX Resize, by torch's own interpolation where it is the same, else by indices or matrices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edgeprep.stages.primitives.onnx_module.node import OnnxNode

__all__ = ["resize"]

COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDING: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "round_prefer_floor": lambda centres: np.ceil(centres - np.float32(0.5)),
    "round_prefer_ceil": lambda centres: np.floor(centres + np.float32(0.5)),
    "floor": np.floor,
    "ceil": np.ceil,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What the attributes of a Resize say about every axis."""

    mode: str
    coordinates: str
    rounding: str
    sharpness: float  # Keys' a, of the cubic kernel
    antialias: bool
    exclude_outside: bool

    def centres(self, length: int, scale: float, made: int) -> NDArray[np.float32]:
        """Where in the input the elements of the output lie, as engines compute it: in float32."""
        position = np.arange(made, dtype=np.float32)
        half, per_element = np.float32(0.5), np.float32(scale)
        if self.coordinates == "asymmetric":
            return position / per_element
        if self.coordinates == "align_corners":
            step = np.float32((length - 1) / (made - 1)) if made > 1 else np.float32(0)
            return position * step
        if self.coordinates == "pytorch_half_pixel" and made == 1:
            return np.zeros(1, np.float32)
        return (position + half) / per_element - half

    def indices(self, length: int, scale: float, made: int) -> NDArray[np.int64]:
        """The nearest elements."""
        nearest = ROUNDING[self.rounding](self.centres(length, scale, made))
        indices: NDArray[np.int64] = np.clip(nearest, 0, length - 1).astype(np.int64)
        return indices

    def matrix(self, length: int, scale: float, made: int) -> NDArray[np.float32]:
        """`(made, length)`: the weight of every element of the input in each of the output."""
        widened = max(1 / scale, 1.0) if self.antialias else 1.0
        radius = (1 if self.mode == "linear" else 2) * widened
        centres = self.centres(length, scale, made).astype(np.float64)
        matrix = np.zeros((made, length))
        for row, centre in enumerate(centres):
            taps = np.arange(np.floor(centre - radius), np.ceil(centre + radius) + 1)
            weights = self._kernel((taps - centre) / widened)
            inside = (taps >= 0) & (taps < length)
            if self.exclude_outside:
                weights *= inside
            np.add.at(matrix[row], np.clip(taps, 0, length - 1).astype(np.int64), weights)
        rows: NDArray[np.float32] = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
        return rows

    def _kernel(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        t, a = abs(distance), self.sharpness
        if self.mode == "linear":
            return np.maximum(1 - t, 0)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        return np.where(t <= 1, near, np.where(t < 2, far, 0))


def resize(
    node: OnnxNode,
    x: torch.Tensor,
    region: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
) -> torch.Tensor:
    """Resize, of the axes whose length or scale changes; `region` is for what is refused."""
    sampling, shape = _sampling(node), node.shapes[0]
    axes = [axis % len(shape) for axis in node.get("axes", range(len(shape)))]
    if sizes:
        made = dict(zip(axes, sizes, strict=True))
        factors = {axis: made[axis] / shape[axis] for axis in axes}
    else:
        factors = dict(zip(axes, scales or (), strict=True))
        made = {axis: int(np.floor(shape[axis] * factors[axis])) for axis in axes}
    changed = [axis for axis in axes if made[axis] != shape[axis] or factors[axis] != 1]
    exact = all(factors[axis] * shape[axis] == made[axis] for axis in changed)
    if exact and _is_torchs_own(sampling, shape, made, changed):
        return _interpolate(sampling, x, changed, [made[axis] for axis in changed])
    if sampling.mode != "nearest" and not x.is_floating_point():
        raise node.refuse(mode=sampling.mode, dtype=str(x.dtype).removeprefix("torch."))
    for axis in changed:
        x = _along(node, sampling, x, axis, factors[axis], made[axis])
    return x


def _sampling(node: OnnxNode) -> Sampling:
    sampling = Sampling(
        mode=node.get("mode", "nearest"),
        coordinates=node.get("coordinate_transformation_mode", "half_pixel"),
        rounding=node.get("nearest_mode", "round_prefer_floor"),
        sharpness=node.get("cubic_coeff_a", -0.75),
        antialias=bool(node.get("antialias", 0)),
        exclude_outside=bool(node.get("exclude_outside", 0)),
    )
    node.get("extrapolation_value", 0.0)  # for a region, which is refused
    if sampling.coordinates not in COORDINATES:
        raise node.refuse(coordinate_transformation_mode=sampling.coordinates)
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        raise node.refuse(keep_aspect_ratio_policy=policy)
    return sampling


def _is_torchs_own(
    sampling: Sampling, shape: Sequence[int], made: dict[int, int], changed: Sequence[int]
) -> bool:
    if len(shape) != 4 or tuple(changed) not in ((2, 3), (1, 2)):
        return False
    if sampling.mode == "nearest":
        multiplied = all(made[axis] % shape[axis] == 0 for axis in changed)
        return multiplied and (sampling.coordinates, sampling.rounding) == ("asymmetric", "floor")
    one = any(made[axis] == 1 for axis in changed)
    return (
        sampling.mode == "linear"
        and not sampling.antialias
        and sampling.coordinates != "asymmetric"
        and not (sampling.coordinates == "pytorch_half_pixel" and one)
    )


def _interpolate(
    sampling: Sampling, x: torch.Tensor, axes: Sequence[int], size: list[int]
) -> torch.Tensor:
    if tuple(axes) == (1, 2):
        return _interpolate(sampling, x.permute(0, 3, 1, 2), (2, 3), size).permute(0, 2, 3, 1)
    if sampling.mode == "nearest":
        return functional.interpolate(x, size, mode="nearest")
    aligned = sampling.coordinates == "align_corners"
    return functional.interpolate(x, size, mode="bilinear", align_corners=aligned)


def _along(
    node: OnnxNode, sampling: Sampling, x: torch.Tensor, axis: int, scale: float, made: int
) -> torch.Tensor:
    length = node.shapes[0][axis]
    if sampling.mode == "nearest":
        indices = node.constant(lambda: sampling.indices(length, scale, made))
        return x.index_select(axis, indices)
    matrix = node.constant(lambda: sampling.matrix(length, scale, made).T)
    return (x.movedim(axis, -1) @ matrix).movedim(-1, axis)
