"""Pictures as cameras hand them over, in planes, made from those that files hold."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.stages.formulas.bt601 import BLACK, BLUE, CHROMA_SCALE, LUMA, LUMA_SCALE, RED
from edgeprep.tensors import ImageSpec

__all__ = ["rgb_to_planes"]

WEIGHTS = np.array(LUMA, np.float32)
# How far red and blue may be from brightness, brought to ±0.5.
RED_DIFFERENCE = 0.5 / (1 - RED)
BLUE_DIFFERENCE = 0.5 / (1 - BLUE)


def rgb_to_planes(picture: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """An RGB picture as "nv12" or "i420", whichever `image` says, in its range.

    Args:
        picture: `(H, W, 3)`, uint8; the last row and column of an odd size are repeated.
        image: the type of the planes.

    Returns:
        `(H · 3 / 2, W, 1)`, uint8; the colour of 2 × 2 pixels is their mean.

    Source: OpenCV's COLOR_YUV2RGB_NV12 gives grey pictures back within 1 level
    (tests/runtime/test_planes.py).
    """
    height, width, _ = picture.shape
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rgb = even.astype(np.float32)
    luma = rgb @ WEIGHTS
    blue = _mean_of_four((rgb[..., 2] - luma) * np.float32(BLUE_DIFFERENCE))
    red = _mean_of_four((rgb[..., 0] - luma) * np.float32(RED_DIFFERENCE))
    if image.yuv_range == "limited":
        luma = luma * np.float32(1 / LUMA_SCALE) + np.float32(BLACK)
        blue, red = blue * np.float32(1 / CHROMA_SCALE), red * np.float32(1 / CHROMA_SCALE)
    chroma = np.stack((blue, red), axis=2 if image.color == "nv12" else 0) + 128
    rows = np.concatenate((luma, chroma.reshape(-1, luma.shape[1])))
    return np.clip(rows + 0.5, 0, 255).astype(np.uint8)[..., None]


def _mean_of_four(x: NDArray[np.float32]) -> NDArray[np.float32]:
    fours = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2)
    return np.asarray(fours.mean(axis=(1, 3)))
