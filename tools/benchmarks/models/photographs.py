"""Pieces of the photographs that come inside scikit-learn and scikit-image."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

__all__ = ["crops"]

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


def crops(size: int, count: int, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """`count` pictures `(size, size, 3)`, uint8 RGB, the same for the same seed."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        photograph = photographs()[generator.integers(len(photographs()))]
        top = generator.integers(photograph.shape[0] - size + 1)
        left = generator.integers(photograph.shape[1] - size + 1)
        yield photograph[top : top + size, left : left + size].copy()


@cache
def photographs() -> tuple[NDArray[np.uint8], ...]:
    """All of them, `(H, W, 3)`, uint8 RGB; the smallest is 300 pixels high."""
    found = list(load_sample_images().images)
    for name in NAMES:
        with as_file(files("skimage.data") / name) as path, Image.open(path) as image:
            found.append(np.asarray(image.convert("RGB")))
    return tuple(found)
