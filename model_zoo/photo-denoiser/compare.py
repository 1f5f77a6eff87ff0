"""Print what the denoiser is worth: decibels of noisy pictures, of OpenCV's and of its own.

    python model_zoo/photo-denoiser/compare.py

OpenCV's is non-local means, which knows that noise has 25 levels by nothing but its strengths h and
hColor. Those that are best on pieces of training photographs are taken. All are compared on the
evaluation data.
"""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from data import Sample, evaluation, validation
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from edgeprep.recipe import load_recipe
from edgeprep.train import load_network

Picture = NDArray[np.uint8]

HERE = Path(__file__).resolve().parent
STRENGTHS = (5, 8, 11, 14, 17, 20, 23, 26)  # for brightness
COLOR_STRENGTHS = (5, 10, 15, 20, 25, 30, 40)
TUNED_ON = 32  # pieces; it takes a minute


def main() -> None:
    """Tune, compare, print."""
    pieces = list(validation())[:TUNED_ON]
    tried = {
        strengths: decibels(pieces, non_local_means(*strengths))
        for strengths in product(STRENGTHS, COLOR_STRENGTHS)
    }
    best = max(tried, key=lambda strengths: tried[strengths])
    held_out = list(evaluation())
    print(f"noisy                                     {decibels(held_out, lambda p: p):.2f} dB")
    figure = decibels(held_out, non_local_means(*best))
    print(f"OpenCV non-local means, h={best[0]:<2} hColor={best[1]:<2}   {figure:.2f} dB")
    print(f"photo-denoiser                            {decibels(held_out, network()):.2f} dB")


def decibels(samples: Sequence[Sample], denoise: Callable[[Picture], Picture]) -> float:
    """The mean PSNR of what `denoise` makes of `samples`."""
    each = [
        peak_signal_noise_ratio(clean, denoise(noisy), data_range=255) for noisy, clean in samples
    ]
    return float(np.mean(each))


def non_local_means(strength: int, color_strength: int) -> Callable[[Picture], Picture]:
    """OpenCV's, with the windows that its manual recommends."""

    def denoise(picture: Picture) -> Picture:
        # It converts to CIELAB, and has to know which channel is red.
        swapped = np.ascontiguousarray(picture[..., ::-1])
        found = cv2.fastNlMeansDenoisingColored(swapped, None, strength, color_strength, 7, 21)
        return np.asarray(found[..., ::-1], np.uint8)

    return denoise


def network() -> Callable[[Picture], Picture]:
    """The recipe's network in torch."""
    model = load_network(load_recipe(HERE / "recipe.toml").model, HERE)

    def denoise(picture: Picture) -> Picture:
        with torch.inference_mode():
            given = torch.from_numpy(picture[None].astype(np.float32) / 255).movedim(-1, 1)
            found = model(given)[0].movedim(0, -1).numpy() * 255
        return np.floor(found + 0.5).astype(np.uint8)

    return denoise


if __name__ == "__main__":
    main()
