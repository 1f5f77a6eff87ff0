"""Print what the denoiser is worth: decibels of noisy pictures, of OpenCV's and of its own.

    python model_zoo/photo-denoiser/compare.py

OpenCV's is non-local means, on RGB with one strength or on CIELAB with two. The kind and the
strengths that are best on pieces of training photographs are taken. All are compared on the
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
Method = Callable[[Picture], Picture]

HERE = Path(__file__).resolve().parent
STRENGTHS = (17, 19, 21, 22, 23, 24, 25, 27, 30)
LAB_STRENGTHS = (5, 8, 11, 14, 17, 20), (10, 20, 30, 40)  # of brightness, of colours
WINDOWS = 7, 21  # of what is compared, and where it is looked for: OpenCV's recommendation
TUNED_ON = 12  # pieces


def main() -> None:
    """Tune, compare, print."""
    pieces = list(validation())[:TUNED_ON]
    tried = {f"non-local means, h={h}": on_rgb(h) for h in STRENGTHS}
    for h, h_color in product(*LAB_STRENGTHS):
        tried[f"non-local means in colour, h={h} hColor={h_color}"] = on_lab(h, h_color)
    best = max(tried, key=lambda name: decibels(pieces, tried[name]))
    held_out = list(evaluation())
    for name, method in (
        ("noisy", lambda picture: picture),
        (best, tried[best]),
        ("photo-denoiser", network()),
    ):
        print(f"{name:46}{decibels(held_out, method):.2f} dB")


def decibels(samples: Sequence[Sample], denoise: Method) -> float:
    """The mean PSNR of what `denoise` makes of `samples`."""
    each = [
        peak_signal_noise_ratio(clean, denoise(noisy), data_range=255) for noisy, clean in samples
    ]
    return float(np.mean(each))


def on_rgb(h: int) -> Method:
    """OpenCV's, which looks at three channels at once."""
    return lambda picture: np.asarray(cv2.fastNlMeansDenoising(picture, None, h, *WINDOWS))


def on_lab(h: int, h_color: int) -> Method:
    """OpenCV's for colour pictures."""

    def denoise(picture: Picture) -> Picture:
        # It converts to CIELAB, and has to know which channel is red.
        swapped = np.ascontiguousarray(picture[..., ::-1])
        found = cv2.fastNlMeansDenoisingColored(swapped, None, h, h_color, *WINDOWS)
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
