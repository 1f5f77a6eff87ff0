"""Pictures that differ as photographs do: in what is where, in brightness, in contrast.

Noise alone would not do: two pictures of it are the same to a network that looks at averages.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw"]


def draw(
    *, height: int, width: int, frames: int = 1, count: int = 4, seed: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """`count` pictures `(height, width, 3)`, or clips `(frames, height, width, 3)`."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        clip = np.stack([_one(random, height, width) for _ in range(frames)])
        yield clip if frames > 1 else clip[0]


def _one(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Patches of colour in three sizes, and a little noise."""
    picture = np.zeros((height, width, 3))
    for cells, strength in ((2, 1.0), (5, 0.7), (16, 0.4)):
        coarse = random.normal(0, strength, (cells, cells, 3))
        rows = np.arange(height) * cells // height
        columns = np.arange(width) * cells // width
        picture += coarse[rows][:, columns]
    brightness, contrast = random.uniform(70, 180), random.uniform(15, 60)
    noise = random.normal(0, 4, picture.shape)
    return np.clip(brightness + contrast * picture + noise, 0, 255).astype(np.uint8)
