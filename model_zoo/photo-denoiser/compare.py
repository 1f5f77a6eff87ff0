"""Print what the denoiser is worth: decibels of noisy pictures, of OpenCV's and of its own.

    python model_zoo/photo-denoiser/compare.py

OpenCV's is non-local means, on RGB with one strength or on CIELAB with two. The kind, strengths and
window that are best on pieces of training photographs are taken. All are compared on the evaluation
data.
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
Method = Callable[[Picture], Picture]

HERE = Path(__file__).resolve().parent
WINDOWS = (3, 5, 7)  # of what is compared
SEARCHED = 21  # where it is looked for: OpenCV's recommendation
STRENGTHS = (17, 19, 21, 23, 25, 27)
LAB_STRENGTHS = (14, 18, 22, 26, 30), (10, 20, 30)  # of brightness, of colours


def main() -> None:
    """Print what is compared."""
    for name, value in compare().items():
        print(f"{name:50}{value:.2f} dB")


def compare(pieces: int | None = None, held_out: int | None = None) -> dict[str, float]:
    """The mean PSNR, in dB, of noisy pictures, of the best non-local means, and of the network.

    Args:
        pieces: how many the non-local means are tuned on; None: all.
        held_out: how many all are compared on; None: all.
    """
    tuned_on, compared_on = [*validation()][:pieces], [*evaluation()][:held_out]
    tried = methods()
    best = max(tried, key=lambda name: decibels(tuned_on, tried[name]))
    compared = {"noisy": unchanged, best: tried[best], "photo-denoiser": network()}
    return {name: decibels(compared_on, method) for name, method in compared.items()}


def methods() -> dict[str, Method]:
    """All that is tried of OpenCV's."""
    tried = {}
    for window in WINDOWS:
        for h in STRENGTHS:
            tried[f"non-local means, {window}×{window}, h={h}"] = on_rgb(h, window)
        for h, h_color in product(*LAB_STRENGTHS):
            name = f"non-local means in colour, {window}×{window}, h={h}, hColor={h_color}"
            tried[name] = on_lab(h, h_color, window)
    return tried


def unchanged(picture: Picture) -> Picture:
    """What nothing is done to."""
    return picture


def decibels(samples: Sequence[Sample], denoise: Method) -> float:
    """The mean PSNR of what `denoise` makes of `samples`."""
    each = [
        peak_signal_noise_ratio(clean, denoise(noisy), data_range=255) for noisy, clean in samples
    ]
    return float(np.mean(each))


def on_rgb(h: int, window: int) -> Method:
    """OpenCV's, which looks at three channels at once."""
    return lambda picture: np.asarray(cv2.fastNlMeansDenoising(picture, None, h, window, SEARCHED))


def on_lab(h: int, h_color: int, window: int) -> Method:
    """OpenCV's for colour pictures."""

    def denoise(picture: Picture) -> Picture:
        # It converts to CIELAB, and has to know which channel is red.
        swapped = np.ascontiguousarray(picture[..., ::-1])
        found = cv2.fastNlMeansDenoisingColored(swapped, None, h, h_color, window, SEARCHED)
        return np.asarray(found[..., ::-1], np.uint8)

    return denoise


def network() -> Method:
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
