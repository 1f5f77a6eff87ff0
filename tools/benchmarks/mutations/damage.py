"""Damage to weights: flipped bits, and channels that are scaled, zero or in each other's place."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAMAGES"]

Array = NDArray[np.generic]

# What a driver that has a scale wrong, a sign or a shift makes of a channel.
_FACTORS = (-1.0, 0.5, 0.9, 1.1, 2.0)


def flip_bit(values: Array, rng: np.random.Generator) -> Array:
    """One bit of one number, as a memory has it that fails."""
    raw = np.frombuffer(values.tobytes(), np.uint8).copy()
    raw[rng.integers(len(raw))] ^= np.uint8(1 << rng.integers(8))
    return raw.view(values.dtype).reshape(values.shape)


def scale_channel(values: Array, rng: np.random.Generator) -> Array:
    """One channel times a factor, clipped where numbers are whole."""
    return _changed(values, rng, lambda channel: channel * rng.choice(_FACTORS))


def zero_channel(values: Array, rng: np.random.Generator) -> Array:
    """One channel of zeros."""
    return _changed(values, rng, np.zeros_like)


def swap_channels(values: Array, rng: np.random.Generator) -> Array:
    """Two channels in each other's place."""
    axis = _axis(values)
    order = np.arange(values.shape[axis])
    one, other = rng.choice(order, 2, replace=False)
    order[[one, other]] = other, one
    return np.ascontiguousarray(np.take(values, order, axis))


def _changed(
    values: Array, rng: np.random.Generator, change: Callable[[NDArray[np.float64]], Array]
) -> Array:
    axis = _axis(values)
    place: list[object] = [slice(None)] * values.ndim
    place[axis] = rng.integers(values.shape[axis])
    changed = values.copy()
    result = change(changed[tuple(place)].astype(np.float64))  # type: ignore[index]
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)  # type: ignore[type-var]
        result = np.clip(np.rint(result), limits.min, limits.max)  # type: ignore[type-var]
    changed[tuple(place)] = result  # type: ignore[index]
    return changed


def _axis(values: Array) -> int:
    """The channels: the first axis, or where it is 1, as of depthwise weights, the longest."""
    return 0 if values.shape[0] > 1 else int(np.argmax(values.shape))


DAMAGES: Mapping[str, Callable[[Array, np.random.Generator], Array]] = {
    "flipped bit": flip_bit,
    "scaled channel": scale_channel,
    "zero channel": zero_channel,
    "swapped channels": swap_channels,
}
