"""Print what the enhancer is worth: decibels of dark pictures, of two plain methods and of its own.

    python model_zoo/lowlight-enhancer/compare.py

Gamma correction raises all levels to one power; CLAHE, OpenCV's, equalizes the brightness of tiles.
The power, and the limit and number of tiles, that are best on pieces of training photographs are
taken. All are compared on the evaluation data.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from data import Sample, evaluation, validation
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from edgeprep.recipe import load_recipe
from edgeprep.train import load_network

Picture = NDArray[np.uint8]
Method = Callable[[Picture], Picture]

HERE = Path(__file__).resolve().parent
POWERS = tuple(np.arange(0.2, 0.9, 0.05).round(3).tolist())
LIMITS = (1, 2, 4, 8, 16, 40)
TILES = (1, 2, 4, 8)


def main() -> None:
    """Print what is compared."""
    for name, value in compare().items():
        print(f"{name:36}{value:.2f} dB")


def compare(pieces: int | None = None, held_out: int | None = None) -> dict[str, float]:
    """The mean PSNR, in dB, of dark pictures, of both methods at their best, and of the network.

    Args:
        pieces: how many the methods are tuned on; None: all.
        held_out: how many all are compared on; None: all.
    """
    tuned_on, compared_on = [*validation()][:pieces], [*evaluation()][:held_out]
    power = best(tuned_on, {power: gamma(power) for power in POWERS})
    limit, tiles = best(tuned_on, {each: clahe(*each) for each in product(LIMITS, TILES)})
    compared = {
        "dark": unchanged,
        f"gamma correction, power {power}": gamma(power),
        f"CLAHE, limit {limit}, {tiles}×{tiles} tiles": clahe(limit, tiles),
        "lowlight-enhancer": network(),
    }
    return {name: decibels(compared_on, method) for name, method in compared.items()}


def unchanged(picture: Picture) -> Picture:
    """What nothing is done to."""
    return picture


def best(samples: Sequence[Sample], methods: Mapping[Any, Method]) -> Any:
    """The name of the method with the highest PSNR."""
    return max(methods, key=lambda name: decibels(samples, methods[name]))


def decibels(samples: Sequence[Sample], brighten: Method) -> float:
    """The mean PSNR of what `brighten` makes of `samples`."""
    each = [
        peak_signal_noise_ratio(bright, brighten(dark), data_range=255) for dark, bright in samples
    ]
    return float(np.mean(each))


def gamma(power: float) -> Method:
    """Levels in 0..1 to the power `power`."""
    table = np.floor((np.arange(256) / 255) ** power * 255 + 0.5).astype(np.uint8)
    return lambda picture: table[picture]


def clahe(limit: int, tiles: int) -> Method:
    """The brightness, in CIELAB, equalized."""
    equalizer = cv2.createCLAHE(clipLimit=limit, tileGridSize=(tiles, tiles))

    def brighten(picture: Picture) -> Picture:
        lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
        lab[..., 0] = equalizer.apply(np.ascontiguousarray(lab[..., 0]))
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)

    return brighten


def network() -> Method:
    """The recipe's network in torch."""
    model = load_network(load_recipe(HERE / "recipe.toml").model, HERE)

    def brighten(picture: Picture) -> Picture:
        with torch.inference_mode():
            given = torch.from_numpy(picture[None].astype(np.float32) / 255).movedim(-1, 1)
            found = model(given)[0].movedim(0, -1).numpy() * 255
        return np.floor(found + 0.5).astype(np.uint8)

    return brighten


if __name__ == "__main__":
    main()
