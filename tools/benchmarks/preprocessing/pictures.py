"""What is prepared: a camera's frame of photographs, and noise, which has the worst gradients."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

__all__ = ["SIZES", "frame", "noise", "photo"]

Picture = NDArray[np.uint8]
Size = tuple[int, int]

# Height and width, before and after. A factor of two and growing hide most faults of libraries, so
# nearly all are odd and none is whole.
SIZES: tuple[tuple[Size, Size], ...] = (
    ((720, 1280), (224, 224)),
    ((97, 61), (32, 29)),
    ((427, 640), (224, 224)),
    ((37, 53), (17, 19)),
    ((17, 19), (37, 53)),
    ((481, 641), (300, 299)),
    ((1, 300), (1, 7)),
    ((50, 30), (1, 1)),
    ((1080, 1919), (333, 257)),
    ((2160, 3839), (225, 223)),
)


@cache
def frame() -> Picture:
    """`(720, 1280, 3)`, uint8 BGR: two photographs in a mosaic."""
    china, flower = load_sample_images().images
    mosaic = np.vstack([np.hstack([china, flower]), np.hstack([flower, china])])
    return np.ascontiguousarray(mosaic[:720, :1280, ::-1])


def photo(height: int, width: int) -> Picture:
    """A piece of the frame, repeated where the frame is too small."""
    times = (-(-height // 720), -(-width // 1280), 1)
    return np.ascontiguousarray(np.tile(frame(), times)[:height, :width])


def noise(height: int, width: int) -> Picture:
    """The same in every run."""
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
