"""The channels of pictures one by one, and back together."""

from collections.abc import Sequence
from typing import TypeVar

from edgeprep.interfaces import Primitives

__all__ = ["join_channels", "split_channels"]

T = TypeVar("T")


# NOTE: not slices of the last axis. To turn the picture first, which puts each channel in one
# piece, makes both three times as fast in OpenVINO and five times in TFLite.
def split_channels(F: Primitives[T], x: T) -> tuple[T, ...]:
    """`(N, H, W, C)` to C times `(N, H, W, 1)`."""
    batch, height, width, channels = F.shape(x)
    planes = F.transpose(x, (0, 3, 1, 2))
    slices = (F.slice(planes, 1, channel, channel + 1) for channel in range(channels))
    return tuple(F.reshape(plane, (batch, height, width, 1)) for plane in slices)


def join_channels(F: Primitives[T], channels: Sequence[T]) -> T:
    """`(N, H, W, 1)` several times to `(N, H, W, C)`."""
    batch, height, width, _ = F.shape(channels[0])
    planes = [F.reshape(channel, (batch, 1, height, width)) for channel in channels]
    return F.transpose(F.concat(planes, 1), (0, 2, 3, 1))
